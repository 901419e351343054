rehearsal "Launch EU" {
  scenarios = ["../../calendar/good/drill.hcl"]
  stop_on   = ["fail", "passed"]
  sign_off  = [""]
  require {
    parts        = { detecton = 80 }
    fresh_within = "2 weeks"
  }
  require {
    score = 1
  }
}
rehearsal "b" {
  scenarios = ["../../calendar/good/nowhere.hcl"]
  lanes     = 2
}
rehearsal "b" {
  scenarios = ["../../calendar/good/drill.hcl"]
}

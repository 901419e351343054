rehearsal "empty" {
}
rehearsal "limits" {
  scenarios = ["../../calendar/good/drill.hcl"]
  sign_off  = ["sre", "sre"]
  require {
    score    = 120
    coverage = -1
    parts    = { detection = 101 }
  }
  compare_with = "limits"
}
rehearsal "twice" {
  scenario "../../calendar/good/drill.hcl" {}
  scenario "../../calendar/good/drill.hcl" {
    lane = "other"
  }
}
rehearsal "both" {
  scenarios = ["../../calendar/good/drill.hcl"]
  scenario "../../calendar/good/two.hcl" { name = "first" }
}
rehearsal "which" {
  scenarios = ["../../calendar/good/two.hcl"]
}
rehearsal "lanes" {
  scenario "../local.hcl" {
    name = "one"
    lane = "a"
  }
  scenario "../local.hcl" {
    name = "two"
    lane = "b"
  }
}

# A rehearsal of a region, and that of the region before.
rehearsal "launch-eu-west-2" {
  scenario "../../calendar/good/two.hcl" {
    name = "first"
    lane = "shop"
  }
  scenario "../../calendar/good/two.hcl" {
    name      = "second"
    lane      = "shop"
    variables = { multiple = 3 }
  }
  scenario "text.hcl" {
    lane = "data"
  }
  variables    = { multiple = 4 }
  stop_on      = ["failed", "aborted"]
  sign_off     = ["sre", "checkout"]
  compare_with = "launch-eu-west-1"
  require {
    score        = 85
    parts        = { detection = 80, response = 70.5 }
    coverage     = 95
    fresh_within = "2w"
  }
}

rehearsal "launch-eu-west-1" {
  scenarios = ["../../calendar/good/drill.hcl"]
  stop_on   = []
}

time_zone = "Europe/Berlin"
freeze    = ["holidays.ics"]

schedule "weekly" {
  scenarios = ["drill.hcl"]
  every     = "1w"
  window {
    days = ["tue-thu"]
    from = "10:00"
    to   = "16:00"
  }
  moment   = "random"
  catch_up = "once"
}

schedule "first-tuesday" {
  scenario "two.hcl" {
    name      = "first"
    variables = { multiple = 3 }
  }
  scenario "two.hcl" { name = "second" }
  cron      = "0 11 1-7 * *"
  time_zone = "America/New_York"
  window {
    days = ["tue"]
    to   = "13:00"
  }
}

schedule "nightly" {
  scenarios = ["drill.hcl"]
  cron      = "30 2 * * *"
}

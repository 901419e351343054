time_zone = "UTC"
freeze    = ["missing.ics"]
schedule "a" {
  scenarios = ["../good/drill.hcl"]
  cron   = "0 10 * * *"
  freeze = ["broken.ics"]
}
schedule "b" {
  scenarios = ["../good/drill.hcl"]
  cron = "0 11 * * *"
}

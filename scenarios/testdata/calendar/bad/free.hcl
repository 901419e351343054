time_zone = "UTC"
freeze    = ["free.ics"]
schedule "a" {
  scenarios = ["../good/drill.hcl"]
  cron      = "0 10 * * *"
}

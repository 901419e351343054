time_zone = "CEST"
schedule "a" {
  scenarios = ["../good/drill.hcl"]
  time_zone = "Europe/Atlantis"
  cron      = "0 10 * * *"
}

time_zone = "UTC"
schedule "feb30" {
  scenarios = ["../good/drill.hcl"]
  cron = "0 10 30 2 *"
}
schedule "no-day" {
  scenarios = ["../good/drill.hcl"]
  cron = "0 10 29 2 mon"
  window {
    days = ["mon"]
    to   = "16:00"
  }
}
schedule "other-day" {
  scenarios = ["../good/drill.hcl"]
  cron = "0 10 * * tue"
  window {
    days = ["mon"]
    to   = "16:00"
  }
}

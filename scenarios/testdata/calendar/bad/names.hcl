name      = "My Calendar"
time_zone = "UTC"
schedule "weekly" {
  scenarios = ["../good/drill.hcl"]
  cron = "0 10 * * *"
}
schedule "weekly" {
  scenarios = ["../good/drill.hcl"]
  cron = "0 11 * * *"
}
schedule "Every Week!" {
  scenarios = ["../good/drill.hcl"]
  cron = "0 11 * * *"
}

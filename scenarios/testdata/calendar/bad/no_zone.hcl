schedule "a" {
  scenarios = ["../good/drill.hcl"]
  cron = "0 10 * * *"
}

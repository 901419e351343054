time_zone = "UTC"
schedule "a" {
  scenarios = ["../good/drill.hcl"]
  cron  = "0 10 * * tue"
  every = "1w"
  window {
    from = "10:00"
    to   = "16:00"
  }
}

time_zone = "UTC"
schedule "a" {
  scenarios = ["../good/drill.hcl"]
  cron = "TZ=UTC 0 10 * * *"
}
schedule "b" {
  scenarios = ["../good/drill.hcl"]
  cron = "@every 1h"
}
schedule "c" {
  scenarios = ["../good/drill.hcl"]
  cron = "61 * * * *"
}
schedule "d" {
  scenarios = ["../good/drill.hcl"]
  cron = "0 10 * * 7"
}
schedule "e" {
  scenarios = ["../good/drill.hcl"]
  cron = "0 10 * *"
}
schedule "f" {
  scenarios = ["../good/drill.hcl"]
  every = "2h"
  window {
    from = "10:00"
    to   = "16:00"
  }
}

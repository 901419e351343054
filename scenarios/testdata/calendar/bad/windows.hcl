time_zone = "UTC"
schedule "short" {
  scenarios = ["../good/drill.hcl"]
  every = "1w"
  window {
    from = "10:00"
    to   = "10:29"
  }
}
schedule "empty" {
  scenarios = ["../good/drill.hcl"]
  every = "1w"
  window {
    from = "10:00"
    to   = "10:00"
  }
}
schedule "no-window" {
  scenarios = ["../good/drill.hcl"]
  every = "1w"
}
schedule "no-begin" {
  scenarios = ["../good/drill.hcl"]
  every = "1w"
  window { to = "10:00" }
}
schedule "two-begins" {
  scenarios = ["../good/drill.hcl"]
  cron = "0 10 * * tue"
  window {
    from = "11:00"
    to   = "16:00"
  }
}
schedule "many" {
  scenarios = ["../good/drill.hcl"]
  cron = "0 */2 * * *"
  window { to = "16:00" }
}
schedule "random" {
  scenarios = ["../good/drill.hcl"]
  cron   = "0 10 * * *"
  moment = "random"
}
schedule "days" {
  scenarios = ["../good/drill.hcl"]
  every = "1d"
  window {
    days = ["moonday", "fri"]
    from = "25:00"
    to   = "16:00"
  }
}

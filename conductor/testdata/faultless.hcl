alarms "builtin" "main" {
  rule "Slow" { when = sli.p95 > 0.5 }
}
scenario "faultless" {
  timeline {
    baseline = "5s"
    load     = "20s"
    recovery = "10s"
  }
  traffic "visitors" {
    script = "get.js"
    baseline { rate = 10 }
  }
  alarm "Slow" {
    source = alarms.builtin.main
    match  = { alertname = "Slow" }

    fires_within = "10s"
  }
}

scenario "one" {
  timeline {
    baseline = "5m"
    load     = "20m"
    recovery = "4m"
  }
  traffic "t" {
    script = "good/t.js"
    baseline { rate = 1 }
  }
  target "web" {
    process { listen = 8080 }
  }
  fault "process_kill" "crash" {
    target          = target.web
    at              = "1m"
    restarts_within = "15s"
  }
}
scenario "two" {
  timeline {
    baseline = "5m"
    load     = "20m"
    recovery = "4m"
  }
  traffic "t" {
    script = "good/t.js"
    baseline { rate = 1 }
  }
  target "web" {
    process { listen = 8081 }
  }
  fault "process_kill" "crash" {
    target          = target.web
    at              = "1m"
    restarts_within = "15s"
  }
}

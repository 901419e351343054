scenario "s" {
  timeline {
    baseline = "10s"
    load     = "60s"
    recovery = "10s"
  }
  traffic "shoppers" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
  }
  target "web" {
    process {
      listen = 8080
    }
  }
  fault "network_partition" "cut" {
    target   = target.web
    to       = ["192.0.2.1"]
    at       = "-5s"
    duration = "400h"
    lease    = "1ms"
  }
  fault "network_partition" "forever" {
    target = target.web
    to     = ["192.0.2.1"]
    at     = "five minutes"
  }
  fault "process_kill" "crash" {
    target   = target.web
    at       = 30
    duration = "5s"
  }
}

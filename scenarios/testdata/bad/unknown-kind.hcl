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
  fault "network_partion" "cut" {
    target = target.web
    at     = "5s"
  }
  alarms_are_not_here = 1
}
alarms "promethius" "main" {
  url = "http://127.0.0.1:9090"
}
responders "pagerduty" "ops" {
  token = "x"
}

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
  fault "process_kill" "crash" {
    target = target.wbe
    at     = "5s"
  }
  fault "process_kill" "quoted" {
    target = "target.web"
    at     = "5s"
  }
  alarm "Down" {
    source       = alarms.prometheus.mian
    cause        = fault.crahs
    fires_within = "10s"
  }
  response "on-call" {
    source = responders.desk.ops
    to     = alarm.Dwon
    acknowledge {
      within = "1m"
    }
  }
}
alarms "prometheus" "main" {
  url = "http://127.0.0.1:9090"
}

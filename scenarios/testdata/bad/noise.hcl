alarms "prometheus" "main" {
  url = "http://127.0.0.1:9090"
}
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
    target = target.web
    at     = "5s"
  }
  alarm "A" {
    source       = alarms.prometheus.main
    fires_within = "30s"
    first        = true
  }
  alarm "B" {
    source = alarms.prometheus.main
    expect = "quiet"
    first  = true
  }
  noise {
    watch      = { severity = "ticket" }
    pages      = { severity = "page" }
    per_person = -1
  }
}

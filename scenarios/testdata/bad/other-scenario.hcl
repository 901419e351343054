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
    target = scenario.other.target.web
    at     = "5s"
  }
}

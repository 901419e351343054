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
  target "web" {
    process {
      listen = 8080
    }
  }
  fault "process_kill" "crash" {
    target = target.web
    at     = "5s"
  }
  fault "process_kill" "crash" {
    target = target.web
    at     = "5s"
  }
  steady_state {
    expect "a" { that = sli.p95 < 1 }
    expect "a" { that = sli.p95 < 2 }
  }
  steady_state {
  }
  timeline {
    baseline = "1s"
    load     = "1s"
    recovery = "1s"
  }
}

scenario "s" {
  timeline {
    baseline = "10s"
    ramp     = "2s"
    load     = "60s"
    recovery = "10s"
  }
  traffic "a" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
    run_on "jobs" {
      parallelism = 3
      namespace   = "load"
      image       = "gameday"
      collector   = "logs"
      listen      = ":7443"
    }
  }
}

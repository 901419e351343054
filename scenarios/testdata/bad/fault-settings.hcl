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
  fault "process_kill" "a" {
    target = target.web
    at     = "1s"
    signal = "SIGKIL"
  }
  fault "network_partition" "b" {
    target    = target.web
    at        = "1s"
    duration  = "5s"
    to        = ["not an address"]
    direction = "sideways"
    portz     = [1]
    restarts_within = "5s"
  }
}

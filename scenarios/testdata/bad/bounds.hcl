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
  steady_state {
    expect "a" {
      that = sli.p95 < 1
      over = "11s"
    }
    expect "b" { that = sli.p95 < 1 / 0 }
    expect "c" { that = sli.p95 < -1e400 }
  }
  capacity {
    expect "a" {
      that = sli.p95 < 1
      over = "61s"
    }
  }
  fault "network_partition" "cut" {
    target   = target.web
    to       = ["192.0.2.1"]
    at       = "1s"
    duration = "8s"
    expect "a" {
      that = sli.p95 < 1
      over = "10s"
    }
  }
  fault "network_partition" "days" {
    target        = target.web
    to            = ["192.0.2.1"]
    at            = "9999999h"
    duration      = "2d"
    lease         = "1w"
    steady_within = "1d12h"
  }
  abort "slow" {
    when = sli.p95 > 1
    over = "16m"
  }
}

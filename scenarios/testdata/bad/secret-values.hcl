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
    at     = secret("ROBOT")
    signal = secret("ROBOT")
  }
  steady_state {
    expect "a" { that = sli.p95 < seconds(secret("ROBOT")) }
    expect "b" { that = sli.p95 < tonumber(local.y) }
    expect "c" { that = sli.p95 < seconds(local.y) + tonumber(local.y) }
  }
  capacity {
    expect "d" {
      that   = sli.p95 < 1
      weight = tonumber(local.y)
    }
  }
}
locals {
  y = secret("ROBOT")
}

# One stream of each shape.
scenario "shapes" {
  summary = "A day in minutes, and everything else."
  timeline {
    baseline = "10s"
    ramp     = "5s"
    load     = "2m"
    recovery = "20s"
  }
  traffic "shoppers" {
    script   = "get.js"
    arrivals = "poisson"
    baseline { rate = 40 }
    shape "steps" {
      multiples = [1, 2, 3]
      hold      = "30s"
    }
  }
  traffic "day" {
    script = "get.js"
    baseline { rate = 40 }
    shape "sine" {
      period = "90s"
    }
  }
  traffic "friday" {
    script = "get.js"
    baseline { rate = 24 }
    shape "replay" {
      file  = "rates.csv"
      speed = 360
    }
  }
  traffic "sale" {
    script   = "get.js"
    multiple = 2
    start    = "30s"
    baseline { rate = 0.05 }
    shape "spike" {
      to   = 10
      at   = "60s"
      rise = "1s"
      hold = "20s"
      fall = "20s"
    }
  }
  traffic "robots" {
    script   = "get.js"
    multiple = 1
    start    = "45s"
    baseline { rate = 100 }
  }
  steady_state {
    expect "availability" { that = sli.shoppers.error_ratio < 0.01 }
  }
  capacity {
    expect "holds" { that = sli.p95 < 0.5 }
  }
}

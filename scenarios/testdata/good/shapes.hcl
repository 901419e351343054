alarms "prometheus" "main" {
  url = "http://127.0.0.1:9090"
}

scenario "s" {
  timeline {
    baseline = "10s"
    load     = "2m"
    recovery = "10s"
  }
  traffic "plain" {
    script = "shoppers.js"
    baseline { rate = 10 }
  }
  traffic "steady" {
    script   = "shoppers.js"
    multiple = 2
    arrivals = "poisson"
    baseline { rate = 10 }
    shape "steady" {}
  }
  traffic "ramp" {
    script   = "shoppers.js"
    multiple = 4
    start    = "0s"
    arrivals = "even"
    baseline { rate = 10 }
    shape "ramp" {
      over = "1m"
    }
  }
  traffic "steps" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "steps" {
      multiples = [1, 0, 2.5]
      hold      = "20s"
      ramp      = "2s"
    }
  }
  traffic "spike" {
    script = "shoppers.js"
    start  = "30s"
    baseline { rate = 10 }
    shape "spike" {
      to   = 10
      at   = "20s"
      rise = "1s"
      hold = "20s"
      fall = "5s"
    }
  }
  traffic "sine" {
    script = "shoppers.js"
    start  = "30s"
    baseline { rate = 10 }
    shape "sine" {
      low    = 1
      high   = 3
      from   = 2
      period = "60s"
    }
  }
  traffic "replayed" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "replay" {
      file  = "rates.csv"
      speed = 60
      scale = 2
    }
  }
  traffic "asked" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "replay" {
      prometheus {
        source = alarms.prometheus.main
        query  = "sum(rate(http_requests_total[1m]))"
        over   = "24h"
      }
      speed = 720
    }
  }
  steady_state {
    expect "availability" { that = sli.error_ratio < 0.01 && sli.plain.p95 < 0.5 }
  }
  capacity {
    expect "holds" { that = sli.spike.error_ratio < 0.01 }
  }
}

scenario "s" {
  timeline {
    baseline = "5s"
    load     = "5s"
    recovery = "5s"
  }
  traffic "t" {
    script = "shoppers.js"
    baseline { rate = 1 }
  }
  regression {
    completed   = "10%"
    error_ratio = "5ms"
    p50         = "10"
    p95         = "10% and 20%"
    p99         = "5ms and 10% and 5ms"
    rate        = "5ms"
    capacity    = "-3%"
    ttd         = 5
    tta         = "5000%"
    ttr         = "10% or 2s"
    score       = "10%"
    phases      = ["lode", "ramp", "load", "load"]
  }
  regression {
    p96 = "10%"
  }
}

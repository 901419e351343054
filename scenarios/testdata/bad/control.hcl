alarms "builtin" "main" {
  rule "A" {
    when = sli.error_ratio > 0.05
  }
}
scenario "short" {
  timeline {
    baseline = "10s"
    load     = "60s"
    recovery = "10s"
  }
  control {
    for     = "20s"
    history = "-1h"
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
    source       = alarms.builtin.main
    fires_within = "30s"
  }
  regression {
    phases = ["control"]
  }
}
scenario "empty" {
  timeline {
    baseline = "10s"
    load     = "60s"
    recovery = "10s"
  }
  control {
  }
  control {
    for = "1m"
  }
  traffic "shoppers" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
  }
}
scenario "no-fault" {
  timeline {
    baseline = "10s"
    load     = "60s"
    recovery = "10s"
  }
  control {
    for = "1m"
  }
  traffic "shoppers" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
  }
}

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
    at     = "5s"
  }
  fault "process_kill" "other" {
    target = target.web
    at     = "9s"
  }
  alarm "A" {
    source = alarms.builtin.main
  }
  alarm "B" {
    source       = alarms.builtin.main
    cause        = fault.crash
    pages_within = "10s"
    max_flaps    = -1
    weight       = 0
  }
  alarm "C" {
    source       = alarms.builtin.main
    expect       = "quiet"
    cause        = fault.crash
    fires_within = "10s"
    labels       = { severity = "page" }
  }
  alarm "D" {
    source = alarms.builtin.main
    expect = "silence"
  }
  response "r" {
    source = responders.desk.ops
    to     = alarm.B
  }
  response "q" {
    source = responders.desk.ops
    to     = alarm.B
    acknowledge {
      within   = "1m"
      to_level = 2
    }
    escalate {
      within     = "1m"
      to_level   = 1
      only_after = "2m"
    }
    mark "bridge" {
      within = "0s"
    }
  }
}
alarms "builtin" "main" {
  notify = [responders.desk.opps, "ftp://x"]
  rule "A" { when = sli.p95 > 1 }
  rule "A" { when = sli.p95 > 2 }
}
alarms "builtin" "empty" {
}
responders "desk" "ops" {
  listen = "nowhere"
  level {
    people = []
  }
}

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
  alarm "A" {
    source       = alarms.builtin.main
    fires_within = "10s"
  }
  response "drill" {
    source = responders.desk.ops
    also   = [responders.desk.ops, responders.desk.two, responders.desk.two, responders.desk.three]
    to     = alarm.A
    ack    = "withhold"
    acknowledge {
      within       = "1m"
      min_evidence = "F"
    }
  }
  response "other" {
    source = responders.desk.ops
    to     = alarm.A
    ack    = "never"
    engage {
      within = "1m"
    }
    bridge {
      within = "1m"
      people = 2
    }
    diagnose {
      within       = "1m"
      min_evidence = "A"
    }
    mitigate {
      within = "1m"
    }
    resolve {
      within        = "1m"
      after_service = true
    }
    mark "m" {
      within = "1m"
      use    = "bridge"
    }
    without "chat" {
      within = "1m"
    }
    without "bridge" {
      within = "1m"
      use    = "Bridge"
    }
  }
  abort "nothing" {
  }
  abort "both" {
    incident = responders.desk.ops
    when     = sli.p95 > 1
    held     = "5s"
  }
  abort "any alarm" {
    incident = alarms.builtin.main
  }
  abort "of what" {
    when  = sli.p95 > 1
    match = { severity = "page" }
  }
}
alarms "builtin" "main" {
  notify = [responders.desk.ops, "http://pager.example/webhook"]
  rule "A" { when = sli.p95 > 1 }
}
alarms "builtin" "second" {
  notify = ["http://pager.example/webhook"]
  pages  = "perhaps"
  rule "A" { when = sli.p95 > 1 }
}
responders "desk" "ops" {
  level {
    people = ["ann"]
  }
}
responders "desk" "two" {
  level {
    people = ["ann"]
  }
}

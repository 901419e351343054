responders "desk" "ops" {
  level {
    people         = ["ann"]
    escalate_after = "5m"
  }
  level { people = ["bob"] }
}
responders "desk" "room" {
  level { people = ["cy"] }
}
alarms "builtin" "main" {
  notify = [responders.desk.ops, "https://pager.example/hook"]
  pages  = "dry"
  rule "Down" { when = sli.error_ratio > 0.5 }
}
scenario "people" {
  timeline {
    baseline = "10s"
    load     = "60s"
    recovery = "10s"
  }
  traffic "shoppers" {
    script = "shoppers.js"
    baseline { rate = 10 }
  }
  steady_state {
    expect "ok" { that = sli.error_ratio < 0.1 }
  }
  target "web" {
    process { listen = 8080 }
  }
  fault "process_kill" "crash" {
    target = target.web
    at     = "5s"
  }
  alarm "Down" {
    source       = alarms.builtin.main
    fires_within = "10s"
  }
  noise {
    watch      = { severity = "page" }
    collateral = [{ service = "ledger" }, { service = "shop", tier = "edge" }]
  }
  response "everything" {
    source = responders.desk.ops
    also   = [responders.desk.room]
    to     = alarm.Down
    acknowledge {
      within       = "5m"
      level        = 1
      on_call      = true
      min_evidence = "B"
    }
    escalate {
      within     = "12m"
      to_level   = 2
      only_after = "5m"
      team       = "ledger"
    }
    engage {
      within = "10m"
      people = 2
      roles  = ["incident lead", "comms"]
    }
    bridge { within = "10m" }
    channel { within = "11m" }
    runbook { within = "12m" }
    customers {
      within   = "13m"
      required = true
    }
    diagnose {
      within = "14m"
      expect = "the web server"
    }
    mitigate { within = "15m" }
    without "chat" {
      within = "16m"
      use    = "bridge"
    }
    resolve {
      within        = "17m"
      after_service = true
    }
    postmortem { within = "120h" }
  }
  response "drill" {
    source = responders.desk.ops
    to     = alarm.Down
    ack    = "withhold"
    escalate { within = "6m" }
  }
  abort "real" { incident = responders.desk.ops }
  abort "alarms" {
    incident = alarms.builtin.main
    match    = { severity = "page" }
  }
}

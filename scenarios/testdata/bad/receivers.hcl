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
}
responders "file" "log" {
  path = "log.jsonl"
}
responders "desk" "ops" {
  level {
    people = ["ann"]
  }
}
alarms "builtin" "main" {
  notify = [responders.desk.ops, responders.file.log]
  rule "A" { when = sli.p95 > 1 }
}

# A plan that can be run and is hardly meant: one of everything that plan warns of.
responders "desk" "ops" {
  level {
    people         = ["ann"]
    escalate_after = "10s"
  }
  level { people = ["bob"] }
}
alarms "builtin" "main" {
  notify = [responders.desk.ops]
  rule "Slow" { when = sli.p95 > 0.5 }
}

lab "two" {
  node "web" {
    process "web" { command = ["/bin/true"] }
  }
  node "db" {
    process "db" { command = ["/bin/true"] }
  }
}

scenario "doubtful" {
  summary = "One of everything that plan warns of."
  timeline {
    baseline = "5s"
    ramp     = "5s"
    load     = "20s"
    recovery = "10s"
  }
  traffic "visitors" {
    script   = "get.js"
    multiple = 2
    baseline { rate = 10 }
  }
  target "web" {
    node { name = "web" }
  }
  target "db" {
    node { name = "db" }
  }
  fault "network_partition" "long" {
    between  = [target.web, target.db]
    at       = "5s"
    duration = "25s"
  }
  fault "node_restart" "never" {
    target   = target.web
    at       = "30s"
    down_for = "2s"
  }
  alarm "Slow" {
    source        = alarms.builtin.main
    match         = { alertname = "Slow" }
    cause         = fault.long
    fires_within  = "1m"
    pages_via     = responders.desk.ops
    pages_within  = "2m"
    clears_within = "3m"
  }
  response "on-call" {
    source = responders.desk.ops
    to     = alarm.Slow
    acknowledge { within = "5m" }
    escalate {
      within     = "12m"
      to_level   = 2
      only_after = "10m"
    }
    mark "bridge opened" { within = "10m" }
    resolve { within = "1h" }
  }
  abort "too slow" {
    when = sli.p95 > 0.8
    held = "5s"
  }
}

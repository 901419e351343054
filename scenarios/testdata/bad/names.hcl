scenario "two\nlines" {
  timeline {
    baseline = "10s"
    load     = "60s"
    recovery = "10s"
  }
  traffic "../../evil" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
  }
  target "w.b" {
    process {
      listen = 8080
    }
  }
  fault "process_kill" "1st" {
    target = target["w.b"]
    at     = "5s"
    expect "a tab\there" { that = sli.p95 < 1 }
  }
  alarm "Down/Up" {
    source       = alarms.builtin["the main"]
    fires_within = "5s"
  }
  response "" {
    source = responders.desk["o p"]
    to     = alarm["Down/Up"]
    mark "bell\u0007" { within = "5s" }
  }
  abort "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" {
    when = sli.p95 > 1
  }
}
sli "queue depth" {
  source = alarms.prometheus.p
  query  = "x"
}
lab "../up" {
  node "n" {
  }
}
alarms "prometheus" "p" {
  url = "http://127.0.0.1:9090"
}
alarms "builtin" "the main" {
  rule "R\u001b[31m" { when = sli.p95 > 1 }
}
responders "desk" "o p" {
  level {
    people = ["ann"]
  }
}

# The shop's game day as a team with Prometheus would hold it: the same shop, faults and people, watched by a real
# Prometheus and a real Alertmanager that run as test hosts beside it.
#
#   apt-get install prometheus prometheus-alertmanager
#   gameday run examples/shop-prometheus/game-day.hcl

lab "shop" {
  node "ledger" {
    process "ledger" {
      command       = ["../../bin/shop", "ledger"]
      listen        = 9103
      restart       = "always"
      restart_delay = "1s"
    }
  }
  node "payments" {
    process "payments" {
      command       = ["../../bin/shop", "payments"]
      env           = { LEDGER_URL = "http://ledger:9103" }
      listen        = 9102
      restart       = "always" # the supervisor that the crash puts to the test
      restart_delay = "6s"
    }
  }
  node "storefront" {
    process "storefront" {
      command = ["../../bin/shop", "storefront"]
      env = {
        PAYMENTS_URL = "http://payments:9102"
        LEDGER_URL   = "http://ledger:9103"
      }
      listen        = 9101
      restart       = "always"
      restart_delay = "1s"
    }
  }
  node "oncall" {
    process "ann" { # level 1: her phone is under a pillow
      command = ["../../bin/oncall", "-desk", "http://gameday:9911", "-person", "ann", "-never"]
    }
    process "bob" { # level 2: answers two seconds after he is called
      command = ["../../bin/oncall", "-desk", "http://gameday:9911", "-person", "bob", "-after", "2s", "-bridge"]
    }
  }
  # Debian's packages prometheus and prometheus-alertmanager. Their data is in memory and gone with the lab. This node
  # is the last to start: a Prometheus that is there before the shop begins with three alarms.
  node "monitoring" {
    process "prometheus" {
      command = ["sh", "-c", join(" ", [
        "exec prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=$${GAMEDAY_SCRATCH:-/run}/prometheus",
        "--web.listen-address=:9090",
      ])]
      listen       = 9090
      ready_within = "20s"
    }
    process "alertmanager" {
      # The pause lets Prometheus evaluate its rules once. Before that nobody knows whether an alarm is quiet, and
      # gameday does not begin without knowing.
      command = ["sh", "-c", join(" ", [
        "sleep 4; exec prometheus-alertmanager",
        "--config.file=alertmanager.yml",
        "--storage.path=$${GAMEDAY_SCRATCH:-/run}/alertmanager",
        "--web.listen-address=:9093",
        "--cluster.listen-address=",
      ])]
      listen       = 9093
      ready_within = "20s"
    }
  }
}

responders "desk" "ops" {
  listen = "0.0.0.0:9911"
  level {
    people         = ["ann"]
    escalate_after = "6s"
  }
  level {
    people = ["bob"]
  }
}

alarms "prometheus" "main" {
  url = "http://monitoring:9090"
}
alarms "alertmanager" "main" {
  url = "http://monitoring:9093"
}

# An indicator of the shop's own, asked of Prometheus every second.
sli "queue_depth" {
  source = alarms.prometheus.main
  query  = "max(payments_queue_depth)"
}

scenario "shop-prometheus" {
  summary = "The shop keeps selling while its back office breaks, and Prometheus wakes somebody up."
  owner   = "team-checkout"

  timeline {
    baseline = "15s"
    ramp     = "5s"
    load     = "75s"
    recovery = "20s"
  }

  # Together 40 iterations a second at 1x.
  traffic "browse" {
    script   = "../shop/browse.js"
    multiple = 3
    baseline { rate = 20 }
  }
  traffic "buy" {
    script   = "../shop/buy.js"
    multiple = 3
    baseline { rate = 10 }
  }
  traffic "receipts" {
    script   = "../shop/receipts.js"
    multiple = 3
    baseline { rate = 10 }
  }

  steady_state {
    expect "availability" {
      that = sli.error_ratio < 0.01
      over = "3s"
    }
    expect "latency" {
      that = sli.p95 < seconds("250ms")
      over = "3s"
    }
  }
  capacity {
    expect "holds the peak" { that = sli.p99 < seconds("500ms") && sli.error_ratio < 0.01 }
  }

  target "payments" {
    process { listen = 9102 }
  }
  target "ledger" {
    node { name = "ledger" }
  }

  fault "process_kill" "crash" {
    target          = target.payments
    at              = "5s"
    restarts_within = "15s"
    expect "browsing goes on" { that = sli.browse.error_ratio < 0.01 }
    expect "receipts go on" { that = sli.receipts.error_ratio < 0.01 }
  }
  fault "network_partition" "cut" {
    between  = [target.payments, target.ledger]
    at       = "25s"
    duration = "15s"
    expect "degrades, does not die" { that = sli.buy.error_ratio < 0.05 }
    expect "slow, but answers" { that = sli.buy.p95 < seconds("1.5s") }
    expect "the queue has room" { that = sli.queue_depth < 1000 }
  }
  fault "node_restart" "reboot" {
    target   = target.ledger
    after    = fault.cut
    wait     = "12s" # long enough to be steady again, and for PaymentsQueueing to clear
    down_for = "6s"
    expect "checkout keeps taking orders" { that = sli.buy.error_ratio < 0.05 }
  }

  alarm "PaymentsDown" {
    source        = alarms.prometheus.main
    match         = { alertname = "PaymentsDown", severity = "page" }
    cause         = fault.crash
    fires_within  = "10s"
    pages_via     = responders.desk.ops
    pages_within  = "12s"
    clears_within = "15s"
    required      = true
  }
  alarm "PaymentsQueueing" {
    source        = alarms.prometheus.main
    match         = { alertname = "PaymentsQueueing", severity = "page" }
    cause         = fault.cut
    fires_within  = "10s"
    pages_via     = responders.desk.ops
    pages_within  = "12s"
    clears_within = "15s"
    required      = true
  }
  alarm "LedgerDown" {
    source        = alarms.prometheus.main
    match         = { alertname = "LedgerDown", severity = "page" }
    cause         = fault.reboot
    fires_within  = "10s"
    pages_via     = alarms.alertmanager.main # sent on by Alertmanager, whoever hears it
    pages_within  = "12s"
    clears_within = "15s"
    required      = true
  }
  noise {
    watch = { severity = "page" }
    allow = ["Watchdog"]
  }

  # The cut lasts long enough for people: ann sleeps, the policy calls bob after six seconds, and bob answers.
  response "on-call" {
    source = responders.desk.ops
    to     = alarm.PaymentsQueueing
    acknowledge {
      within   = "12s"
      required = true
    }
    escalate {
      within     = "9s"
      to_level   = 2
      only_after = "5s"
    }
    mark "bridge opened" { within = "15s" }
    resolve { within = "45s" }
  }

  abort "error storm" {
    when = sli.error_ratio > 0.60
    held = "5s"
  }
  abort "queue nearly full" {
    when = sli.queue_depth > 1800
    held = "2s"
  }
  score { pass = 80 }
}

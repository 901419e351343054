variable "multiple" {
  type    = number
  default = 3
}

alarms "prometheus" "main" {
  url = "http://127.0.0.1:9090"
}
alarms "alertmanager" "main" {
  url = "http://127.0.0.1:9093"
}
responders "desk" "ops" {
  listen     = "127.0.0.1:0"
  automation = [secret("ROBOT")]
  level {
    people         = ["ann"]
    escalate_after = "10m"
  }
  level {
    people = ["bob"]
  }
}

scenario "checkout-loses-payments" {
  summary = "The shop keeps selling while payments is down, and on-call hears of it within a minute."
  owner   = "team-checkout"
  blind   = true # announcements and the live screen hide the faults until the run is over

  timeline {
    baseline = "30s" # 1x; the steady state must hold here, else nothing is injected
    ramp     = "10s"
    load     = "3m" # at the multiple; a fault's `at` counts from here
    recovery = "60s" # after the last fault is gone, still at the multiple
  }

  traffic "shoppers" {
    script   = "shoppers.js" # any k6 script, or request blocks and no script at all
    multiple = var.multiple
    baseline {
      rate = 40 # iterations per second; or prometheus { … }, access_log { … }, run = "latest"
    }
  }

  steady_state {
    expect "availability" { that = sli.error_ratio < 0.01 }
    expect "latency" { that = sli.p95 < seconds("300ms") }
  }
  capacity {
    expect "holds 3x" { that = sli.p95 < seconds("500ms") && sli.error_ratio < 0.01 }
  }

  target "payments" {
    process { listen = 9102 }
  }
  target "ledger" {
    node { name = "ledger" }
  }

  fault "process_kill" "crash" {
    target          = target.payments
    at              = "20s"
    restarts_within = "15s" # someone else must bring it back: that is the recovery check
  }
  fault "network_partition" "cut" {
    between  = [target.payments, target.ledger]
    at       = "60s"
    duration = "45s"
    expect "degrades, does not die" { that = sli.error_ratio < 0.30 }
  }
  fault "node_restart" "reboot" {
    target   = target.ledger
    after    = fault.cut
    wait     = "20s"
    down_for = "10s"
  }

  alarm "PaymentsDown" {
    source        = alarms.prometheus.main
    match         = { alertname = "PaymentsDown", severity = "page" }
    cause         = fault.cut
    fires_within  = "30s"
    pages_via     = alarms.alertmanager.main
    pages_within  = "60s"
    clears_within = "2m"
    labels        = { team = "payments" }
    annotations   = ["summary", "runbook_url"]
    required      = true
  }
  alarm "ShopDown" {
    source = alarms.prometheus.main
    expect = "quiet"
  }
  noise {
    watch = { severity = "page" } # any other page is noise
    allow = ["Watchdog"]
  }
  response "on-call" {
    source = responders.desk.ops
    to     = alarm.PaymentsDown
    acknowledge { within = "5m" }
    escalate {
      within     = "12m"
      to_level   = 2
      only_after = "10m"
    }
    mark "bridge opened" { within = "10m" }
    resolve { within = "30m" }
  }

  abort "error storm" {
    when = sli.error_ratio > 0.60
    held = "10s"
  }
  score { pass = 80 }

  regression {
    completed     = "ignore"
    error_ratio   = "0.2%"
    p50           = "1ms"
    p95           = "10% and 5ms"
    p99           = "20%"
    rate          = "5% and 10/s"
    reached_ratio = "1%"
    dropped_ratio = "0%"
    capacity      = "3%"
    ttd           = "5s"
    tta           = "ignore"
    ttr           = "50% and 2s"
    score         = "2.5 points"
    phases        = ["load", "recovery"]
    each_traffic  = true
    build         = "make build"
  }
}

lab "shop" {
  node "storefront" {
    process "storefront" { command = ["../bin/shop", "storefront"] }
  }
  node "ledger" {
    process "ledger" { command = ["../bin/shop", "ledger"] }
  }
}

# The game day of examples/shop, on Kubernetes: the same text but for the lab, which is in shop.yaml and people.yaml instead, for
# the targets, and for where traffic runs (run_on). A test holds it to that. The image of run_on is that of kustomization.yaml.
#
#   kubectl apply -k examples/shop-kubernetes
#   kubectl -n gameday create job today --from=cronjob/game-day

variable "multiple" {
  type        = number
  default     = 3
  description = "how many times the usual traffic"
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

# One alarm for each thing that can be wrong. Each looks at what shoppers feel, and no two at the same thing.
alarms "builtin" "main" {
  notify = [responders.desk.ops]

  rule "CheckoutFailing" {
    when   = sli.buy.error_ratio > 0.10
    held   = "2s"
    keep   = "3s"
    labels = { severity = "page", team = "checkout" }
    annotations = {
      summary     = "More than one purchase in ten fails."
      runbook_url = "https://runbooks.example/checkout-failing"
    }
  }
  rule "CheckoutSlow" {
    # Purchases crawl although the ledger answers: payments cannot reach it. Without the second half this would page
    # again for every outage of the ledger, which ReceiptsFailing covers.
    when   = sli.buy.p95 > seconds("400ms") && sli.receipts.error_ratio < 0.05
    held   = "2s"
    keep   = "3s"
    labels = { severity = "page", team = "payments" }
    annotations = {
      summary     = "Purchases take long: charges wait for a ledger that payments cannot reach."
      runbook_url = "https://runbooks.example/checkout-slow"
    }
  }
  rule "ReceiptsFailing" {
    when   = sli.receipts.error_ratio > 0.10
    held   = "2s"
    keep   = "3s"
    labels = { severity = "page", team = "ledger" }
    annotations = {
      summary     = "More than one receipt in ten cannot be shown."
      runbook_url = "https://runbooks.example/receipts-failing"
    }
  }
}

scenario "shop-game-day" {
  summary = "The shop keeps selling at three times its traffic while its back office breaks, and somebody wakes up."
  owner   = "team-checkout"

  timeline {
    baseline = "15s"
    ramp     = "5s"
    load     = "65s"
    recovery = "20s"
  }

  # Together 40 iterations a second at 1x.
  traffic "browse" {
    script   = "browse.js"
    multiple = var.multiple
    baseline { rate = 20 }
    run_on "jobs" {
      parallelism = 2
      namespace   = "gameday"
      image       = "registry.example/gameday:latest"
    }
  }
  traffic "buy" {
    script   = "buy.js"
    multiple = var.multiple
    baseline { rate = 10 }
    run_on "jobs" {
      parallelism = 1
      namespace   = "gameday"
      image       = "registry.example/gameday:latest"
    }
  }
  traffic "receipts" {
    script   = "receipts.js"
    multiple = var.multiple
    baseline { rate = 10 }
    run_on "jobs" {
      parallelism = 1
      namespace   = "gameday"
      image       = "registry.example/gameday:latest"
    }
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
    pods {
      namespace  = "shop"
      labels     = { app = "payments" }
      containers = ["payments"]
    }
  }
  target "ledger" {
    pods {
      namespace = "shop"
      labels    = { app = "ledger" }
    }
  }

  fault "process_kill" "crash" {
    target          = target.payments
    at              = "8s"
    restarts_within = "15s"
    expect "browsing goes on" { that = sli.browse.error_ratio < 0.01 }
    expect "receipts go on" { that = sli.receipts.error_ratio < 0.01 }
  }
  fault "network_partition" "cut" {
    between  = [target.payments, target.ledger]
    at       = "22s"
    duration = "15s"
    expect "degrades, does not die" { that = sli.buy.error_ratio < 0.05 }
    expect "slow, but answers" { that = sli.buy.p95 < seconds("1.5s") }
  }
  fault "node_restart" "reboot" {
    target   = target.ledger
    after    = fault.cut
    wait     = "10s" # long enough to be steady again, and for CheckoutSlow to clear
    down_for = "4s"
    expect "checkout keeps taking orders" { that = sli.buy.error_ratio < 0.05 }
  }

  alarm "CheckoutFailing" {
    source        = alarms.builtin.main
    match         = { alertname = "CheckoutFailing", severity = "page" }
    cause         = fault.crash
    fires_within  = "10s"
    pages_via     = responders.desk.ops
    pages_within  = "12s"
    clears_within = "15s"
    required      = true
  }
  alarm "CheckoutSlow" {
    source        = alarms.builtin.main
    match         = { alertname = "CheckoutSlow", severity = "page" }
    cause         = fault.cut
    fires_within  = "10s"
    pages_via     = responders.desk.ops
    pages_within  = "12s"
    clears_within = "15s"
    required      = true
  }
  alarm "ReceiptsFailing" {
    source        = alarms.builtin.main
    match         = { alertname = "ReceiptsFailing", severity = "page" }
    cause         = fault.reboot
    fires_within  = "10s"
    pages_via     = responders.desk.ops
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
    to     = alarm.CheckoutSlow
    acknowledge {
      within   = "12s"
      required = true
    }
    escalate {
      within     = "9s"
      to_level   = 2
      only_after = "5s"
    }
    engage {
      within = "15s"
      roles  = ["incident lead"]
    }
    bridge { within = "15s" }
    runbook { within = "15s" }
    customers { within = "20s" }
    mitigate { within = "25s" } # from the onset, by what shoppers feel
    resolve {
      within        = "45s"
      after_service = true
    }
  }

  abort "error storm" {
    when = sli.error_ratio > 0.60
    held = "5s"
  }
  score { pass = 80 }
}

# A shop loses its payments, its network and its ledger within a minute, and somebody is called.
# In a lab:        gameday run examples/shop-containers/lab.hcl
# In containers:   sudo bin/shop-containers bin/gameday run examples/shop-containers/containers.hcl
# The two files differ in their targets, and in the lab that one of them brings along; a test holds them to that.

responders "desk" "ops" {
  listen = "0.0.0.0:9911"
  level {
    people = ["bob"]
  }
}

alarms "builtin" "main" {
  notify = [responders.desk.ops]

  rule "CheckoutSlow" {
    # Purchases take long, and are not refused, while receipts are fine: payments cannot reach the ledger.
    when   = sli.buy.p95 > seconds("400ms") && sli.buy.error_ratio < 0.02 && sli.receipts.error_ratio < 0.05
    held   = "2s"
    keep   = "2s"
    labels = { severity = "page", team = "payments" }
  }
  rule "ReceiptsFailing" {
    when   = sli.receipts.error_ratio > 0.10
    held   = "2s"
    keep   = "2s"
    labels = { severity = "page", team = "ledger" }
  }
}

scenario "shop-anywhere" {
  summary = "The shop keeps selling while its back office breaks, wherever it runs."
  owner   = "team-checkout"

  timeline {
    baseline = "10s"
    ramp     = "3s"
    load     = "40s"
    recovery = "12s"
  }

  traffic "browse" {
    script   = "../shop/browse.js"
    multiple = 2
    baseline { rate = 20 }
  }
  traffic "buy" {
    script   = "../shop/buy.js"
    multiple = 2
    baseline { rate = 10 }
  }
  traffic "receipts" {
    script   = "../shop/receipts.js"
    multiple = 2
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

  target "payments" {
    container {
      compose {
        project = "shop"
        service = "payments"
      }
    }
  }
  target "ledger" {
    container { name = "shop-ledger-1" }
  }

  fault "process_kill" "crash" {
    target          = target.payments
    at              = "2s"
    restarts_within = "8s"
  }
  fault "network_partition" "cut" {
    between  = [target.payments, target.ledger]
    at       = "11s"
    duration = "9s"
    expect "slow, but answers" { that = sli.buy.p95 < seconds("1.5s") }
  }
  fault "node_restart" "reboot" {
    target   = target.ledger
    after    = fault.cut
    wait     = "9s"
    down_for = "4s"
    expect "checkout keeps taking orders" { that = sli.buy.error_ratio < 0.05 }
  }

  alarm "CheckoutSlow" {
    source        = alarms.builtin.main
    match         = { alertname = "CheckoutSlow", severity = "page" }
    cause         = fault.cut
    fires_within  = "8s"
    pages_via     = responders.desk.ops
    pages_within  = "10s"
    clears_within = "12s"
    required      = true
  }
  alarm "ReceiptsFailing" {
    source        = alarms.builtin.main
    match         = { alertname = "ReceiptsFailing", severity = "page" }
    cause         = fault.reboot
    fires_within  = "8s"
    pages_via     = responders.desk.ops
    pages_within  = "10s"
    clears_within = "12s"
    required      = true
  }
  noise {
    watch = { severity = "page" }
  }
  response "on-call" {
    source = responders.desk.ops
    to     = alarm.CheckoutSlow
    acknowledge {
      within   = "8s"
      required = true
    }
    mark "bridge opened" { within = "12s" }
  }

  abort "error storm" {
    when = sli.error_ratio > 0.70
    held = "5s"
  }
  score { pass = 80 }
}

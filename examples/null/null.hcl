# The control of the experiment: the shop's game day without a fault. An alarm that rings here rings for the traffic,
# not for a failure, and what it "detects" in a real game day is worth nothing. A scenario without faults turns its
# alarms around: each that fires is noise.
#
#   gameday run examples/null/null.hcl

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
      restart_delay = "3s"
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

scenario "null" {
  summary = "Three times the traffic and no fault at all: everything must hold, and nobody may be paged."
  owner   = "team-checkout"

  timeline {
    baseline = "10s"
    ramp     = "3s"
    load     = "20s"
    recovery = "5s"
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

  alarm "CheckoutFailing" {
    source       = alarms.builtin.main
    match        = { alertname = "CheckoutFailing", severity = "page" }
    fires_within = "8s"
  }
  alarm "CheckoutSlow" {
    source       = alarms.builtin.main
    match        = { alertname = "CheckoutSlow", severity = "page" }
    fires_within = "8s"
  }
  alarm "ReceiptsFailing" {
    source       = alarms.builtin.main
    match        = { alertname = "ReceiptsFailing", severity = "page" }
    fires_within = "8s"
  }
  noise {
    watch = { severity = "page" }
  }

  score { pass = 80 }
}

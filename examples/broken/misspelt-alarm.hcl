# The shop's game day with one thing broken on purpose. It must fail, and for this reason alone:
#
#   the rule that watches checkout has a typo in its name, so the alarm that everybody waits for never fires.

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
      restart       = "always"
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
    escalate_after = "4s"
  }
  level {
    people = ["bob"]
  }
}

alarms "builtin" "main" {
  notify = [responders.desk.ops]
  rule "CheckoutFialing" {
    when   = sli.buy.error_ratio > 0.10
    held   = "2s"
    keep   = "3s"
    labels = { severity = "page", team = "checkout" }
    annotations = {
      summary     = "More than one purchase in ten fails."
      runbook_url = "https://runbooks.example/checkout-failing"
    }
  }
}

scenario "misspelt-alarm" {
  summary = "Payments crashes; the alarm for it has a typo in its name."
  owner   = "team-checkout"

  timeline {
    baseline = "8s"
    ramp     = "2s"
    load     = "22s"
    recovery = "8s"
  }

  traffic "browse" {
    script   = "../shop/browse.js"
    multiple = 3
    baseline { rate = 10 }
  }
  traffic "buy" {
    script   = "../shop/buy.js"
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

  target "payments" {
    process { listen = 9102 }
  }

  fault "process_kill" "crash" {
    target          = target.payments
    at              = "5s"
    restarts_within = "10s"
    expect "browsing goes on" { that = sli.browse.error_ratio < 0.01 }
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

  abort "error storm" {
    when = sli.error_ratio > 0.80
    held = "5s"
  }
  score { pass = 80 }
}

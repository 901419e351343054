# The shop without a script: what is sent stands in this file. Shoppers look around and buy; the storefront is killed once
# and must come back, and what they felt of it is measured.
#
#   gameday run examples/requests/game-day.hcl

lab "shop" {
  node "ledger" {
    process "ledger" {
      command = ["../../bin/shop", "ledger"]
      listen  = 9103
    }
  }
  node "payments" {
    process "payments" {
      command = ["../../bin/shop", "payments"]
      env     = { LEDGER_URL = "http://ledger:9103" }
      listen  = 9102
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

scenario "requests" {
  summary = "The storefront is back within four seconds of a crash, and holds three times the traffic."
  owner   = "team-checkout"

  timeline {
    baseline = "6s"
    ramp     = "2s"
    load     = "16s"
    recovery = "6s"
  }

  traffic "shoppers" {
    base     = "http://storefront:9101"
    timeout  = "5s"
    multiple = 3
    baseline { rate = 40 } # runs of a flow per second

    data "products" {
      rows  = [for n in range(1, 13) : { number = n }]
      order = "shuffled"
    }

    flow "browse" {
      weight = 3
      request "catalogue" {
        url = "/"
        expect { json = { "#" = 12 } }
        think = ["20ms", "80ms"]
      }
      request "product" {
        url = "/product/${data.products.number}"
        expect { matches = ["\"number\": ?\\d+"] }
      }
    }
    flow "buy" {
      request "order" {
        method  = "POST"
        url     = "/buy"
        headers = { "Content-Type" = "application/json" }
        body    = "{\"product\": ${data.products.number}}"
        expect {
          status = [201, 202] # booked, or to be booked later
          json   = { order = null }
        }
      }
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

  target "storefront" {
    process { listen = 9101 }
  }
  fault "process_kill" "crash" {
    target          = target.storefront
    at              = "6s"
    restarts_within = "4s"
  }

  score { pass = 80 }
}

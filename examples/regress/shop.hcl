# The shop without a fault, short and steady: what a build is compared with another by. Twelve seconds a run, so that a
# few minutes are enough for an answer.
#
#   gameday regress --base origin/main --head HEAD examples/regress/shop.hcl

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
      listen = 9101
    }
  }
}

scenario "shop" {
  summary = "The shop is no slower than it was."
  owner   = "team-checkout"

  timeline {
    baseline = "3s"
    ramp     = "1s"
    load     = "8s"
    recovery = "0s"
  }

  traffic "shoppers" {
    base     = "http://storefront:9101"
    timeout  = "5s"
    multiple = 3
    baseline { rate = 30 } # runs of a flow per second

    data "products" {
      rows  = [for n in range(1, 13) : { number = n }]
      order = "shuffled"
    }
    flow "browse" {
      weight = 3
      request "catalogue" { url = "/" }
      request "product" { url = "/product/${data.products.number}" }
    }
    flow "buy" {
      request "order" {
        method  = "POST"
        url     = "/buy"
        headers = { "Content-Type" = "application/json" }
        body    = "{\"product\": ${data.products.number}}"
        expect { status = [201, 202] } # booked, or to be booked later
      }
    }
  }

  steady_state {
    expect "availability" { that = sli.error_ratio < 0.01 }
    expect "latency" { that = sli.p95 < seconds("500ms") }
  }

  # How much worse it may be, and how a checkout is built.
  regression {
    p50   = "20% and 5ms"
    p95   = "20% and 10ms"
    build = "go build -o bin/ ./examples/shop/cmd/shop"
  }
}

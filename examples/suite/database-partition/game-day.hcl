# A real PostgreSQL is out of reach for six seconds. What it answered before can still be shown, if anybody ever learns that
# it does not answer.
#
#   make suite
#   gameday run examples/suite/database-partition/game-day.hcl
#   gameday run -var world=bad examples/suite/database-partition/game-day.hcl

variable "world" {
  type        = string
  default     = "good"
  description = "good, or bad: with the flaw that this game day is meant to find"
}

locals {
  # The flaw: an answer of the database may be waited for without end. What would be done if a query failed is there in
  # both worlds.
  limits = {
    good = ["-limit", "300ms", "-breaker", "3", "-rest", "1s"]
    bad  = []
  }[var.world]
}

lab "shop" {
  node "database" {
    process "postgres" { # the real one, of Debian's package postgresql
      command      = ["../../../bin/suite", "postgres", "-schema", "sales"]
      listen       = 5432
      ready_within = "60s"
    }
  }
  node "shop" {
    process "catalogue" {
      command = concat(["../../../bin/suite", "catalogue", "-listen", ":9201", "-database", "database:5432",
        "-connections", "8"], local.limits)
      listen       = 9201
      ready_within = "90s" # it waits for the database
    }
  }
  node "oncall" {
    process "bob" {
      command = ["../../../bin/oncall", "-desk", "http://gameday:9911", "-person", "bob", "-after", "1s",
        "-then", "customers=You can look around; orders cannot be shown at the moment."]
    }
  }
}

responders "desk" "ops" {
  listen = "0.0.0.0:9911"
  level { people = ["bob"] }
}

alarms "builtin" "main" {
  notify = [responders.desk.ops]
  rule "OrdersFailing" {
    when   = sli.orders.error_ratio > 0.30
    over   = "2s"
    held   = "1s"
    keep   = "1s"
    labels = { severity = "page", team = "shop" }
    annotations = {
      summary     = "Three orders in ten cannot be shown."
      runbook_url = "https://runbooks.example/orders-failing"
    }
  }
}

scenario "database-partition" {
  summary = "Without its database the shop shows its goods from memory, and says at once that it cannot show orders."
  owner   = "team-shop"

  timeline {
    baseline = "4s"
    load     = "14s"
    recovery = "6s"
  }

  traffic "goods" { # may be shown as they were a moment ago
    base     = "http://shop:9201"
    timeout  = "1500ms"
    multiple = 2
    baseline { rate = 5 }
    data "goods" {
      rows = [for n in range(1, 11) : { number = n }]
    }
    request "product" { url = "/goods/${data.goods.number}" }
  }
  traffic "orders" { # must not
    base     = "http://shop:9201"
    timeout  = "1500ms"
    multiple = 2
    baseline { rate = 5 }
    request "order" { url = "/orders/1" }
  }

  steady_state {
    expect "availability" {
      that = sli.error_ratio < 0.02
      over = "2s"
    }
    expect "latency" {
      that = sli.p95 < seconds("1s")
      over = "2s"
    }
  }

  target "shop" {
    node { name = "shop" }
  }
  target "database" {
    node { name = "database" }
  }
  fault "network_partition" "cut" {
    between       = [target.shop, target.database]
    at            = "3s"
    duration      = "6s"
    steady_within = "6s"
    expect "goods are shown" {
      that     = sli.goods.error_ratio < 0.05 && sli.goods.p95 < seconds("1s")
      required = true
    }
    expect "orders fail at once" { that = sli.orders.p95 < seconds("1s") }
  }

  alarm "OrdersFailing" {
    source        = alarms.builtin.main
    cause         = fault.cut
    fires_within  = "8s"
    pages_via     = responders.desk.ops
    pages_within  = "9s"
    clears_within = "10s"
    required      = true
  }
  noise { watch = { severity = "page" } }

  response "on-call" {
    source = responders.desk.ops
    to     = alarm.OrdersFailing
    acknowledge { within = "5s" }
    customers { within = "6s" }
  }

  score { pass = 80 }
}

# A process is killed and does not come back up: each new one finds the lock of the one before, and exits.
#
#   make suite
#   gameday run examples/suite/crash-loop/game-day.hcl
#   gameday run -var world=bad examples/suite/crash-loop/game-day.hcl

variable "world" {
  type        = string
  default     = "good"
  description = "good, or bad: with the flaw that this game day is meant to find"
}

locals {
  # The flaw: a lock that is a file outlives the process that made it.
  lock = { good = "kernel", bad = "file" }[var.world]
}

lab "orders" {
  node "orders" {
    process "orders" {
      command       = ["../../../bin/suite", "orders", "-listen", ":9101", "-lock", local.lock]
      listen        = 9101
      restart       = "always" # the supervisor does what it can in both worlds
      restart_delay = "2s"
    }
  }
  node "oncall" {
    process "bob" {
      command = ["../../../bin/oncall", "-desk", "http://gameday:9911", "-person", "bob", "-after", "1s"]
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
    when   = sli.error_ratio > 0.20
    over   = "2s"
    held   = "1s"
    keep   = "3s"
    labels = { severity = "page", team = "orders" }
    annotations = {
      summary     = "More than one order in five cannot be shown."
      runbook_url = "https://runbooks.example/orders-failing"
    }
  }
}

scenario "crash-loop" {
  summary = "Orders are back within seconds of a crash, without anybody's help."
  owner   = "team-orders"

  timeline {
    baseline = "4s"
    load     = "16s"
    recovery = "6s"
  }

  traffic "shoppers" {
    base     = "http://orders:9101"
    timeout  = "2s"
    multiple = 2
    baseline { rate = 10 }
    data "orders" {
      rows = [for n in range(1, 101) : { number = n }]
    }
    request "order" { url = "/orders/${data.orders.number}" }
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

  target "orders" {
    process { listen = 9101 }
  }
  fault "process_kill" "crash" {
    target          = target.orders
    at              = "3s"
    restarts_within = "6s"
    steady_within   = "6s"
  }

  alarm "OrdersFailing" {
    source        = alarms.builtin.main
    cause         = fault.crash
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
    mitigate { # from the crash, by what shoppers feel
      within   = "8s"
      required = true
    }
  }

  score { pass = 80 }
}

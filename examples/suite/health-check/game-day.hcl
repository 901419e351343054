# One of three web nodes loses its database. The load balancer either sees that, or goes on sending it a third of all shoppers.
#
#   make suite
#   gameday run examples/suite/health-check/game-day.hcl
#   gameday run -var world=bad examples/suite/health-check/game-day.hcl

variable "world" {
  type        = string
  default     = "good"
  description = "good, or bad: with the flaw that this game day is meant to find"
}

locals {
  # The flaw: a health check that finds an open port is content.
  check = { good = "page", bad = "port" }[var.world]
  web   = ["../../../bin/suite", "service", "-listen", ":9201", "-calls", "/orders=http://store:9202", "-timeout", "250ms", "-name"]
}

lab "shop" {
  node "store" {
    process "store" {
      command = ["../../../bin/suite", "service", "-name", "store", "-listen", ":9202"]
      listen  = 9202
    }
  }
  node "web-1" {
    process "web" {
      command = concat(local.web, ["web-1"])
      listen  = 9201
    }
  }
  node "web-2" {
    process "web" {
      command = concat(local.web, ["web-2"])
      listen  = 9201
    }
  }
  node "web-3" {
    process "web" {
      command = concat(local.web, ["web-3"])
      listen  = 9201
    }
  }
  node "front" {
    process "balancer" {
      command = ["../../../bin/suite", "balancer", "-listen", ":9100", "-check", local.check, "-page", "/ready",
        "-backends", "web-1:9201,web-2:9201,web-3:9201"]
      listen = 9100
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
  rule "WebNodeSick" {
    when   = sli.probes.error_ratio > 0.2
    over   = "2s"
    held   = "1s"
    keep   = "1s"
    labels = { severity = "page", team = "shop" }
    annotations = {
      summary     = "A web node cannot show orders."
      runbook_url = "https://runbooks.example/web-node-sick"
    }
  }
}

scenario "health-check" {
  summary = "Shoppers hardly notice that one of three web nodes cannot reach its database."
  owner   = "team-shop"

  timeline {
    baseline = "4s"
    load     = "15s"
    recovery = "6s"
  }

  traffic "shoppers" {
    base     = "http://front:9100"
    timeout  = "3s"
    multiple = 2
    baseline { rate = 10 }
    request "order" { url = "/orders/1" }
  }
  traffic "probes" { # of each node, past the load balancer
    timeout  = "1s"
    multiple = 1
    baseline { rate = 6 }
    data "nodes" {
      rows = [for n in ["web-1", "web-2", "web-3"] : { name = n }]
    }
    request "order" { url = "http://${data.nodes.name}:9201/orders/2" }
  }

  steady_state {
    expect "availability" {
      that = sli.shoppers.error_ratio < 0.02
      over = "2s"
    }
    expect "latency" {
      that = sli.shoppers.p95 < seconds("1s")
      over = "2s"
    }
  }

  target "web" {
    node { name = "web-2" }
  }
  target "store" {
    node { name = "store" }
  }
  fault "network_partition" "cut" {
    between       = [target.web, target.store]
    at            = "3s"
    duration      = "8s"
    steady_within = "6s"
    expect "shoppers hardly notice" {
      that     = sli.shoppers.error_ratio < 0.15
      required = true
    }
  }

  alarm "WebNodeSick" {
    source        = alarms.builtin.main
    cause         = fault.cut
    fires_within  = "8s"
    pages_via     = responders.desk.ops
    pages_within  = "9s"
    clears_within = "9s"
    required      = true
  }
  noise { watch = { severity = "page" } }

  response "on-call" {
    source = responders.desk.ops
    to     = alarm.WebNodeSick
    acknowledge { within = "5s" }
    mitigate { within = "6s" } # from the cut, by what shoppers feel
  }

  score { pass = 80 }
}

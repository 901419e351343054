# Six nodes in two zones; one zone is gone at once. What is left must carry all of the traffic.
#
#   make suite
#   gameday run examples/suite/zone-lost/game-day.hcl
#   gameday run -var world=bad examples/suite/zone-lost/game-day.hcl

variable "world" {
  type        = string
  default     = "good"
  description = "good, or bad: with the flaw that this game day is meant to find"
}

locals {
  # The flaw: six nodes that are busy enough to please whoever pays for them, so three cannot do their work.
  threads = { good = "4", bad = "1" }[var.world]
  node    = ["../../../bin/suite", "service", "-listen", ":9201", "-work", "140ms", "-threads", local.threads, "-line", "4", "-name"]
}

lab "shop" {
  node "a1" {
    process "web" {
      command = concat(local.node, ["zone-a-1"])
      listen  = 9201
    }
  }
  node "a2" {
    process "web" {
      command = concat(local.node, ["zone-a-2"])
      listen  = 9201
    }
  }
  node "a3" {
    process "web" {
      command = concat(local.node, ["zone-a-3"])
      listen  = 9201
    }
  }
  node "b1" {
    process "web" {
      command = concat(local.node, ["zone-b-1"])
      listen  = 9201
    }
  }
  node "b2" {
    process "web" {
      command = concat(local.node, ["zone-b-2"])
      listen  = 9201
    }
  }
  node "b3" {
    process "web" {
      command = concat(local.node, ["zone-b-3"])
      listen  = 9201
    }
  }
  node "front" { # in neither zone
    process "balancer" {
      command = ["../../../bin/suite", "balancer", "-listen", ":9100",
        "-backends", "a1:9201,b1:9201,a2:9201,b2:9201,a3:9201,b3:9201"]
      listen = 9100
    }
  }
  node "oncall" {
    process "bob" {
      command = ["../../../bin/oncall", "-desk", "http://gameday:9911", "-person", "bob", "-after", "1s", "-bridge"]
    }
  }
}

responders "desk" "ops" {
  listen = "0.0.0.0:9911"
  level { people = ["bob"] }
}

alarms "builtin" "main" {
  notify = [responders.desk.ops]
  rule "ZoneALost" {
    when   = sli.zone_a.error_ratio > 0.6
    over   = "2s"
    held   = "1s"
    keep   = "1s"
    labels = { severity = "page", team = "platform" }
    annotations = {
      summary     = "Hardly a node of zone a answers."
      runbook_url = "https://runbooks.example/zone-lost"
    }
  }
}

scenario "zone-lost" {
  summary = "With one zone gone the other serves everybody, as fast as before."
  owner   = "team-platform"

  timeline {
    baseline = "4s"
    load     = "15s"
    recovery = "6s"
  }

  traffic "shoppers" {
    base     = "http://front:9100"
    timeout  = "4s"
    multiple = 2
    baseline { rate = 15 }
    request "page" { url = "/home" }
  }
  traffic "zone_a" { # probes, as a monitoring system has them
    timeout  = "500ms"
    multiple = 1
    baseline { rate = 6 }
    data "nodes" {
      rows = [for n in ["a1", "a2", "a3"] : { name = n }]
    }
    request "healthz" { url = "http://${data.nodes.name}:9201/healthz" }
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

  target "zone_a" {
    at_most = 3
    process { command = "-name zone-a-" }
  }
  fault "network_partition" "lost" {
    target        = target.zone_a
    to            = ["198.18.0.0/15"] # everybody
    at            = "3s"
    duration      = "8s"
    steady_within = "6s"
    expect "the other zone carries all" {
      that     = sli.shoppers.error_ratio < 0.08
      required = true
    }
  }

  alarm "ZoneALost" {
    source        = alarms.builtin.main
    cause         = fault.lost
    fires_within  = "8s"
    pages_via     = responders.desk.ops
    pages_within  = "9s"
    clears_within = "9s"
    required      = true
  }
  noise { watch = { severity = "page" } }

  response "on-call" {
    source = responders.desk.ops
    to     = alarm.ZoneALost
    acknowledge { within = "5s" }
    bridge { within = "6s" }
    mitigate { within = "6s" } # from the loss, by what shoppers feel
  }

  score { pass = 80 }
}

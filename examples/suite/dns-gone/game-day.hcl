# Name resolution ends: no question is answered any more. Whoever has no address of their own in mind has none.
#
#   make suite
#   gameday run examples/suite/dns-gone/game-day.hcl
#   gameday run -var world=bad examples/suite/dns-gone/game-day.hcl

variable "world" {
  type        = string
  default     = "good"
  description = "good, or bad: with the flaw that this game day is meant to find"
}

locals {
  # The flaw: a look-up and a new connection for every request, and all the time in the world for them.
  shelf = {
    good = ["-names", "kept", "-timeout", "500ms"]
    bad  = ["-names", "each", "-timeout", "30s"]
  }[var.world]
}

lab "shop" {
  node "prices" {
    process "prices" {
      command = ["../../../bin/suite", "prices", "-listen", ":9402"]
      listen  = 9402
    }
  }
  node "shelf" {
    process "names" { # the resolver in this machine's resolv.conf
      command = ["../../../bin/suite", "names", "-listen", "127.0.0.1:53", "-name", "prices.shop.test=prices"]
    }
    process "shelf" {
      command = concat(["../../../bin/suite", "shelf", "-listen", ":9401", "-prices", "http://prices.shop.test:9402/"], local.shelf)
      listen  = 9401
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

# About the cause, not about users: those of the good world feel nothing, and somebody must know all the same.
alarms "builtin" "main" {
  notify = [responders.desk.ops]
  rule "NamesFailing" {
    when   = sli.probe.error_ratio > 0.50
    over   = "2s"
    held   = "1s"
    keep   = "1s"
    labels = { severity = "page", team = "platform" }
    annotations = {
      summary     = "Names do not resolve within half a second."
      runbook_url = "https://runbooks.example/names-failing"
    }
  }
}

scenario "dns-gone" {
  summary = "Prices go on being shown while no name resolves."
  owner   = "team-shelf"

  timeline {
    baseline = "4s"
    load     = "12s"
    recovery = "10s"
  }

  traffic "shoppers" {
    base     = "http://shelf:9401"
    timeout  = "3s"
    multiple = 2
    baseline { rate = 10 }
    request "page" {
      url = "/"
      expect { json = { cents = 995 } }
    }
  }

  traffic "probe" { # asks the machine whether it can resolve a name
    base     = "http://shelf:9401"
    timeout  = "2s"
    multiple = 1
    baseline { rate = 4 }
    request "names" { url = "/names" }
  }

  steady_state {
    expect "availability" {
      that = sli.shoppers.error_ratio < 0.02
      over = "2s"
    }
    expect "latency" {
      that = sli.shoppers.p95 < seconds("500ms")
      over = "2s"
    }
  }

  target "shelf" {
    node { name = "shelf" }
  }
  fault "dns_outage" "gone" {
    target        = target.shelf
    action        = "drop" # silence: "nxdomain" and "servfail" are the other ways in which it goes
    at            = "3s"
    duration      = "8s"
    steady_within = "9s"
    expect "prices are shown" {
      that     = sli.shoppers.error_ratio < 0.02
      required = true
    }
    expect "as fast as ever" { that = sli.shoppers.p95 < seconds("1s") }
  }

  alarm "NamesFailing" {
    source        = alarms.builtin.main
    cause         = fault.gone
    fires_within  = "8s"
    pages_via     = responders.desk.ops
    pages_within  = "9s"
    clears_within = "9s"
  }
  noise { watch = { severity = "page" } }

  response "on-call" {
    source = responders.desk.ops
    to     = alarm.NamesFailing
    acknowledge { within = "5s" }
  }

  score { pass = 80 }
}

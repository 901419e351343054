# Who is paged first never answers. Whether anybody comes is decided by the escalation policy.
#
#   make suite
#   gameday run examples/suite/silent-responder/game-day.hcl
#   gameday run -var world=bad examples/suite/silent-responder/game-day.hcl

variable "world" {
  type        = string
  default     = "good"
  description = "good, or bad: with the flaw that this game day is meant to find"
}

locals {
  # The flaw: the second level is there, and is called when the trouble is long over.
  patience = { good = "4s", bad = "10m" }[var.world]
}

lab "shop" {
  node "prices" {
    process "prices" {
      command = ["../../../bin/suite", "prices", "-listen", ":9402"]
      listen  = 9402
    }
  }
  node "shelf" {
    process "shelf" {
      command = ["../../../bin/suite", "shelf", "-listen", ":9401", "-prices", "http://prices:9402/"]
      listen  = 9401
    }
  }
  node "oncall" {
    process "ann" { # level 1: her telephone is in another room
      command = ["../../../bin/oncall", "-desk", "http://gameday:9911", "-person", "ann", "-never"]
    }
    process "bob" { # level 2: answers a second after he is called
      command = ["../../../bin/oncall", "-desk", "http://gameday:9911", "-person", "bob", "-after", "1s"]
    }
  }
}

responders "desk" "ops" {
  listen = "0.0.0.0:9911"
  level {
    people         = ["ann"]
    escalate_after = local.patience
  }
  level { people = ["bob"] }
}

alarms "builtin" "main" {
  notify = [responders.desk.ops]
  rule "PricesMissing" {
    when   = sli.error_ratio > 0.20
    over   = "2s"
    held   = "1s"
    keep   = "1s"
    labels = { severity = "page", team = "shelf" }
    annotations = {
      summary     = "More than one page in five comes without its price."
      runbook_url = "https://runbooks.example/prices-missing"
    }
  }
}

scenario "silent-responder" {
  summary = "A page that nobody answers reaches somebody else in time."
  owner   = "team-shelf"

  timeline {
    baseline = "4s"
    load     = "19s"
    recovery = "8s"
  }

  traffic "shoppers" {
    base     = "http://shelf:9401"
    timeout  = "2s"
    multiple = 2
    baseline { rate = 5 }
    request "page" { url = "/" }
  }

  steady_state {
    expect "availability" {
      that = sli.error_ratio < 0.02
      over = "2s"
    }
    expect "latency" {
      that = sli.p95 < seconds("500ms")
      over = "2s"
    }
  }

  target "shelf" {
    node { name = "shelf" }
  }
  target "prices" {
    node { name = "prices" }
  }
  fault "network_partition" "cut" { # long enough for a page, a wait and a second page
    between       = [target.shelf, target.prices]
    at            = "3s"
    duration      = "15s"
    steady_within = "6s"
  }

  alarm "PricesMissing" {
    source        = alarms.builtin.main
    cause         = fault.cut
    fires_within  = "9s"
    pages_via     = responders.desk.ops
    pages_within  = "10s"
    clears_within = "10s"
    required      = true
  }
  noise { watch = { severity = "page" } }

  response "on-call" {
    source = responders.desk.ops
    to     = alarm.PricesMissing
    acknowledge {
      within   = "9s"
      required = true
    }
    escalate {
      within     = "7s"
      to_level   = 2
      only_after = "3s" # who is there must have had the time to answer
    }
  }

  score { pass = 80 }
}

# A node loses its power and boots again. Whether the sessions that were in its memory are still there afterwards is the question.
#
#   make suite
#   gameday run examples/suite/node-reboot/game-day.hcl
#   gameday run -var world=bad examples/suite/node-reboot/game-day.hcl

variable "world" {
  type        = string
  default     = "good"
  description = "good, or bad: with the flaw that this game day is meant to find"
}

locals {
  # The flaw: the two stores do not know of each other, so each session is in one memory only.
  peers = {
    good = { one = ["-peer", "http://sessions-2:9110"], two = ["-peer", "http://sessions-1:9110"] }
    bad  = { one = [], two = [] }
  }[var.world]
}

lab "shop" {
  node "sessions-1" {
    process "sessions" {
      command = concat(["../../../bin/suite", "sessions", "-listen", ":9110"], local.peers.one)
      listen  = 9110
    }
  }
  node "sessions-2" {
    process "sessions" {
      command = concat(["../../../bin/suite", "sessions", "-listen", ":9110"], local.peers.two)
      listen  = 9110
    }
  }
  node "front" {
    process "balancer" {
      command = ["../../../bin/suite", "balancer", "-listen", ":9100", "-policy", "first",
        "-backends", "sessions-1:9110,sessions-2:9110"]
      listen = 9100
    }
  }
  node "users" {
    process "fill" { # those who are signed in when the day begins
      command      = ["../../../bin/suite", "fill", "-to", "http://sessions-1:9110/sessions", "-n", "50", "-listen", ":9119"]
      listen       = 9119
      ready_within = "20s"
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
  rule "SessionStoreDown" {
    when   = sli.probe.error_ratio > 0.5
    over   = "2s"
    held   = "1s"
    keep   = "3s"
    labels = { severity = "page", team = "identity" }
    annotations = {
      summary     = "The first session store does not answer."
      runbook_url = "https://runbooks.example/session-store-down"
    }
  }
}

scenario "node-reboot" {
  summary = "Whoever is signed in stays signed in while a session store reboots, and afterwards."
  owner   = "team-identity"

  timeline {
    baseline = "4s"
    load     = "16s"
    recovery = "6s"
  }

  traffic "users" {
    base     = "http://front:9100"
    timeout  = "3s"
    multiple = 2
    baseline { rate = 10 }
    data "signed_in" {
      rows = [for n in range(1, 51) : { id = n }]
    }
    flow "returns" {
      weight = 3
      request "session" { url = "/sessions/${data.signed_in.id}" }
    }
    flow "signs_in" {
      request "new" {
        method = "PUT"
        url    = "/sessions/${iteration.id}"
        body   = "new"
      }
      request "look" { url = "/sessions/${iteration.id}" }
    }
  }
  traffic "probe" { # a probe of the store itself, as a monitoring system has one
    base     = "http://sessions-1:9110"
    timeout  = "500ms"
    multiple = 1
    baseline { rate = 4 }
    request "healthz" { url = "/healthz" }
  }

  steady_state {
    expect "availability" {
      that = sli.users.error_ratio < 0.02
      over = "2s"
    }
    expect "latency" {
      that = sli.users.p95 < seconds("1s")
      over = "2s"
    }
  }

  target "store" {
    node { name = "sessions-1" }
  }
  fault "node_restart" "reboot" {
    target        = target.store
    at            = "3s"
    down_for      = "4s"
    steady_within = "5s"
    expect "nobody is signed out" {
      that     = sli.users.error_ratio < 0.10
      required = true
    }
  }

  alarm "SessionStoreDown" {
    source        = alarms.builtin.main
    cause         = fault.reboot
    fires_within  = "8s"
    pages_via     = responders.desk.ops
    pages_within  = "9s"
    clears_within = "10s"
    required      = true
  }
  noise { watch = { severity = "page" } }

  response "on-call" {
    source = responders.desk.ops
    to     = alarm.SessionStoreDown
    acknowledge { within = "5s" }
    mitigate { within = "6s" } # from the loss of power, by what users feel
  }

  score { pass = 80 }
}

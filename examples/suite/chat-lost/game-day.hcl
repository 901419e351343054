# The chat in which incidents are handled is lost in one: it runs in the data centre that fails.
#
#   make suite
#   gameday run examples/suite/chat-lost/game-day.hcl
#   gameday run -var world=bad examples/suite/chat-lost/game-day.hcl

variable "world" {
  type        = string
  default     = "good"
  description = "good, or bad: with the flaw that this game day is meant to find"
}

locals {
  # The flaw: nobody has agreed on where to meet when the chat is not there.
  without_chat = { good = "bridge", bad = "wait" }[var.world]
}

lab "shop" {
  node "basement" { # prices and the chat share a data centre, which nobody thinks of
    process "prices" {
      command = ["../../../bin/suite", "prices", "-listen", ":9402"]
      listen  = 9402
    }
    process "chat" {
      command = ["../../../bin/suite", "chat", "-listen", ":9404"]
      listen  = 9404
    }
  }
  node "shelf" {
    process "shelf" {
      command = ["../../../bin/suite", "shelf", "-listen", ":9401", "-prices", "http://basement:9402/"]
      listen  = 9401
    }
  }
  node "people" { # ann is paged, and bob knows that pages can do without prices
    process "ann-and-bob" {
      command = ["../../../bin/suite", "crew", "-desk", "http://gameday:9911", "-chat", "http://basement:9404",
      "-remedy", "http://shelf:9401/later", "-lead", "ann", "-expert", "bob", "-without-chat", local.without_chat]
    }
  }
}

responders "desk" "ops" {
  listen = "0.0.0.0:9911"
  level { people = ["ann"] }
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

scenario "chat-lost" {
  summary = "Who is needed is found, and the trouble is put right, although the chat is gone."
  owner   = "team-shelf"

  timeline {
    baseline = "4s"
    load     = "20s"
    recovery = "7s"
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

  target "basement" {
    node { name = "basement" }
  }
  fault "node_restart" "dark" {
    target        = target.basement
    at            = "3s"
    down_for      = "16s"
    steady_within = "6s"
  }

  alarm "PricesMissing" {
    source        = alarms.builtin.main
    cause         = fault.dark
    fires_within  = "9s"
    pages_via     = responders.desk.ops
    pages_within  = "10s"
    clears_within = "10s"
  }
  noise { watch = { severity = "page" } }

  response "incident" {
    source = responders.desk.ops
    to     = alarm.PricesMissing
    acknowledge { within = "4s" }
    without "chat" {
      use      = "bridge"
      within   = "7s"
      required = true
    }
    engage {
      within = "8s"
      people = 2
    }
    mitigate { within = "13s" } # from the onset, by what shoppers feel
  }

  score { pass = 80 }
}

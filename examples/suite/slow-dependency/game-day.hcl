# C becomes slow. B waits for C, and A for B, until A has no thread left for pages that need neither.
#
#   make suite
#   gameday run examples/suite/slow-dependency/game-day.hcl
#   gameday run -var world=bad examples/suite/slow-dependency/game-day.hcl

variable "world" {
  type        = string
  default     = "good"
  description = "good, or bad: with the flaw that this game day is meant to find"
}

locals {
  # The flaw: calls without a time limit, from a bounded number of threads.
  bounds = {
    good = ["-timeout", "300ms", "-bulkhead", "3", "-breaker", "5", "-rest", "1s"]
    bad  = []
  }[var.world]
}

lab "shop" {
  node "tax" { # C
    process "tax" {
      command = ["../../../bin/suite", "service", "-name", "tax", "-listen", ":9203", "-slow-file", "/run/slow", "-slow-work", "2s"]
      listen  = 9203
    }
  }
  node "pricing" { # B
    process "pricing" {
      command = concat(["../../../bin/suite", "service", "-name", "pricing", "-listen", ":9202", "-threads", "8",
        "-calls", "/quotes=http://tax:9203"], local.bounds)
      listen = 9202
    }
  }
  node "shop" { # A
    process "shop" {
      command = concat(["../../../bin/suite", "service", "-name", "shop", "-listen", ":9201", "-threads", "8",
        "-calls", "/quotes=http://pricing:9202"], local.bounds)
      listen = 9201
    }
  }
  node "oncall" {
    process "bob" {
      command = ["../../../bin/oncall", "-desk", "http://gameday:9911", "-person", "bob", "-after", "1s",
        "-then", "customers=Prices cannot be shown at the moment."]
    }
  }
}

responders "desk" "ops" {
  listen = "0.0.0.0:9911"
  level { people = ["bob"] }
}

alarms "builtin" "main" {
  notify = [responders.desk.ops]
  rule "QuotesFailing" {
    when   = sli.quotes.error_ratio > 0.30
    over   = "2s"
    held   = "1s"
    keep   = "1s"
    labels = { severity = "page", team = "pricing" }
    annotations = {
      summary     = "Three quotes in ten cannot be made."
      runbook_url = "https://runbooks.example/quotes-failing"
    }
  }
}

scenario "slow-dependency" {
  summary = "When tax is slow, quotes fail at once and every other page of the shop goes on."
  owner   = "team-shop"

  timeline {
    baseline = "4s"
    load     = "15s"
    recovery = "6s"
  }

  traffic "pages" { # need nobody but A
    base     = "http://shop:9201"
    timeout  = "1500ms"
    multiple = 2
    baseline { rate = 5 }
    request "home" { url = "/home" }
  }
  traffic "quotes" { # A → B → C
    base     = "http://shop:9201"
    timeout  = "1500ms"
    multiple = 2
    baseline { rate = 5 }
    request "quote" { url = "/quotes/1" }
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

  target "tax" {
    node { name = "tax" }
  }
  # Any answer of tax takes two seconds while the file is there. That the service has felt it is the proof.
  fault "command" "slow" {
    target        = target.tax
    inject        = ["touch", "/run/slow"]
    effect        = ["sh", "-c", "test -e /run/slow && test -e /run/slow.felt && echo answers take $(cat /run/slow.felt)"]
    revert        = ["rm", "-f", "/run/slow", "/run/slow.felt"]
    at            = "3s"
    duration      = "8s"
    steady_within = "6s"
    expect "other pages go on" {
      that     = sli.pages.error_ratio < 0.05 && sli.pages.p95 < seconds("1s")
      required = true
    }
    expect "quotes fail at once" { that = sli.quotes.p95 < seconds("1s") }
  }

  alarm "QuotesFailing" {
    source        = alarms.builtin.main
    cause         = fault.slow
    fires_within  = "8s"
    pages_via     = responders.desk.ops
    pages_within  = "9s"
    clears_within = "9s"
    required      = true
  }
  noise { watch = { severity = "page" } }

  response "on-call" {
    source = responders.desk.ops
    to     = alarm.QuotesFailing
    acknowledge { within = "5s" }
    customers { within = "6s" }
  }

  score { pass = 80 }
}

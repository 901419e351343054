# A neighbour on the same machine takes all the processor time that it can get.
#
#   make suite
#   gameday run examples/suite/noisy-neighbour/game-day.hcl
#   gameday run -var world=bad examples/suite/noisy-neighbour/game-day.hcl

variable "world" {
  type        = string
  default     = "good"
  description = "good, or bad: with the flaw that this game day is meant to find"
}

locals {
  # The flaw: the service has no share of the processors of its own, and gets what others leave.
  share = { good = "own", bad = "leftovers" }[var.world]
}

lab "quotes" {
  node "quotes" {
    process "quotes" {
      command = ["../../../bin/suite", "quotes", "-listen", ":9161", "-work", "6ms", "-share", local.share]
      listen  = 9161
    }
  }
}

alarms "builtin" "main" {
  rule "QuotesSlow" {
    when   = sli.shoppers.p95 > seconds("600ms") || sli.shoppers.error_ratio > 0.20
    over   = "2s"
    held   = "1s"
    keep   = "1s"
    labels = { severity = "page", team = "quotes" }
    annotations = {
      summary     = "Quotes take long, or fail."
      runbook_url = "https://runbooks.example/quotes-slow"
    }
  }
}

scenario "noisy-neighbour" {
  summary = "Quotes are as quick as ever while a neighbour takes every processor of the host."
  owner   = "team-quotes"

  timeline {
    baseline = "5s"
    load     = "16s"
    recovery = "5s"
  }

  traffic "shoppers" {
    base     = "http://quotes:9161"
    timeout  = "3s"
    multiple = 1
    baseline { rate = 10 } # six hundredths of a processor
    request "quote" { url = "/quotes" }
  }
  steady_state {
    expect "quotes" {
      that = sli.shoppers.error_ratio < 0.02
      over = "2s"
    }
    expect "in time" {
      that = sli.shoppers.p95 < seconds("500ms")
      over = "2s"
    }
  }

  target "quotes" {
    node { name = "quotes" }
  }
  fault "cpu_stress" "neighbour" {
    target        = target.quotes
    percent       = 100
    nice          = 5 # for the sake of who else is on this machine
    at            = "3s"
    duration      = "8s"
    steady_within = "6s"
    expect "quotes as ever" {
      that     = sli.shoppers.error_ratio < 0.02 && sli.shoppers.p95 < seconds("500ms")
      required = true
    }
  }

  # A busy host is no emergency, and nobody is to be paged for one as long as users are well.
  alarm "QuotesSlow" {
    source = alarms.builtin.main
    expect = "quiet"
  }
  noise { watch = { severity = "page" } }

  score { pass = 80 }
}

# Five times the usual payments, each of which waits for a bank; then the bank becomes slow. Processors are idle all the time.
#
#   make suite
#   gameday run examples/suite/autoscaling/game-day.hcl
#   gameday run -var world=bad examples/suite/autoscaling/game-day.hcl

variable "world" {
  type        = string
  default     = "good"
  description = "good, or bad: with the flaw that this game day is meant to find"
}

locals {
  # The flaw: more cashiers are started when processors are busy, and cashiers wait.
  scale_by = { good = "queue", bad = "cpu" }[var.world]
}

lab "payments" {
  node "bank" {
    process "bank" {
      command = ["../../../bin/suite", "bank", "-listen", ":9142", "-thinks", "200ms"]
      listen  = 9142
    }
  }
  node "till" {
    process "till" { # starts its cashiers itself: two at first, twelve at most, each with two payments at a time
      command = ["../../../bin/suite", "till", "-listen", ":9141", "-bank", "http://bank:9142", "-scale-by", local.scale_by]
      listen  = 9141
    }
  }
}

alarms "builtin" "main" {
  rule "BankSlow" {
    when   = sli.bank.error_ratio > 0.3
    over   = "2s"
    held   = "1s"
    keep   = "1s"
    labels = { severity = "page", team = "payments" }
    annotations = {
      summary     = "The bank takes more than 350 ms to answer."
      runbook_url = "https://runbooks.example/bank-slow"
    }
  }
}

scenario "autoscaling" {
  summary = "Five times the usual payments are paid in time, also when the bank is slow meanwhile."
  owner   = "team-payments"

  timeline {
    baseline = "4s"
    ramp     = "1s"
    load     = "18s"
    recovery = "7s"
  }

  traffic "shoppers" {
    base     = "http://till:9141"
    timeout  = "4s"
    multiple = 5
    baseline { rate = 8 } # two cashiers can do 20
    request "pay" {
      method = "POST"
      url    = "/payments"
      expect { status = [201] }
    }
  }
  # Not a shopper: it asks the bank past all queues, and fails while that is slow.
  traffic "bank" {
    base     = "http://till:9141"
    timeout  = "2s"
    multiple = 1
    baseline { rate = 4 }
    request "answer" {
      url = "/bank"
      expect { json = { slow = false } }
    }
  }

  steady_state {
    expect "paid" {
      that = sli.shoppers.error_ratio < 0.02
      over = "2s"
    }
    expect "in time" {
      that = sli.shoppers.p95 < seconds("1s")
      over = "2s"
    }
  }
  capacity {
    expect "holds the rush" { that = sli.shoppers.error_ratio < 0.02 && sli.shoppers.p95 < seconds("1s") }
  }

  target "bank" {
    node { name = "bank" }
  }
  # The bank thinks for as long as the file says. That somebody has felt it is the proof.
  fault "command" "slow-bank" {
    target        = target.bank
    inject        = ["sh", "-c", "echo 500ms >/run/bank-thinks.new && mv /run/bank-thinks.new /run/bank-thinks"]
    effect        = ["sh", "-c", "test -e /run/bank-thinks && test -e /run/bank-thinks.felt && echo answers take $(cat /run/bank-thinks.felt)"]
    revert        = ["rm", "-f", "/run/bank-thinks.new", "/run/bank-thinks", "/run/bank-thinks.felt"]
    at            = "6s"
    duration      = "8s"
    steady_within = "6s"
    expect "still paid" { that = sli.shoppers.error_ratio < 0.05 && sli.shoppers.p95 < seconds("2s") }
  }

  alarm "BankSlow" {
    source        = alarms.builtin.main
    cause         = fault.slow-bank
    fires_within  = "8s"
    clears_within = "8s"
    required      = true
  }

  score { pass = 80 }
}

# Each mistake is complained of once, though much depends on it.
scenario "s" {
  timeline {
    baseline = var.w
    # recovery is missing
    load     = ["60s"]
  }
  traffic "shoppers" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
  }
  target "web" {
    process {
      listen = "all"
    }
  }
  fault "proces_kill" "crash" {
    target = target.web
    at     = "5s"
  }
  fault "process_kill" "again" {
    target = target.web
    after  = fault.crash
  }
  fault "network_partition" "cut" {
    target   = target.web
    to       = ["192.0.2.1"]
    at       = ["5s"]
    duration = { of = "5s" }
  }
  fault "network_partition" "other" {
    target   = target.web
    to       = ["192.0.2.1"]
    at       = local.nowhere
    duration = local.nowhere
  }
  traffic "buyers" {
    script   = local.nowhere
    multiple = local.nowhere
    baseline {
      rate = local.nowhere
    }
  }
  alarm "Half" {
    source       = alarms.promethius.main
    cause        = fault.cut
    pages_within = local.nowhere
    pages_via    = responders.pagerduty.ops
    weight       = local.nowhere
  }
  alarm "Down" {
    source       = alarms.promethius.main
    cause        = fault.crash
    fires_within = "5s"
    pages_within = "5s"
    pages_via    = responders.pagerduty.ops
  }
  response "on-call" {
    source = responders.pagerduty.ops
    to     = alarm.Down
    acknowledge {}
    resolve { within = local.wihtin }
    mark "bridge" {}
  }
  response "nobody" {
    acknowledge { within = "5s" }
  }
  steady_state {
    expect "nothing" {}
    expect "long" {
      that = sli.p95 < 1
      over = "10s"
    }
    expect "own" { that = sli.depth < 5 }
  }
  score {
    pass = var.w
  }
}
sli "depth" {
  query = 5
}
variable "wait" {
  default = "5s"
}
locals {
  within = "5s"
}
alarms "promethius" "main" {
}
responders "pagerduty" "ops" {
}

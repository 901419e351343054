# The smallest game day that has everything: one service in a lab, one kill, one alarm, one page, one answer.

variable "restart" {
  default = "always"
}
variable "steady" {
  type    = number
  default = 0.01
}
variable "abort" {
  type    = number
  default = 2
}
variable "load" {
  default = "11s"
}
variable "recovery" {
  default = "3s"
}
variable "at" {
  default = "3s"
}
variable "restarts" {
  default = "15s"
}
variable "latency" {
  default = "10ms"
}

lab "small" {
  node "web" {
    process "web" {
      command       = ["world", "-listen", ":8080", "-latency", var.latency]
      listen        = 8080
      restart       = var.restart
      restart_delay = "2s"
    }
  }
}

alarms "builtin" "main" {
  notify = [responders.desk.ops]
  rule "WebFailing" {
    when   = sli.error_ratio > 0.2
    over   = "2s"
    labels = { severity = "page" }
  }
}
responders "desk" "ops" {
  level {
    people = ["ann"]
  }
}

scenario "small" {
  summary = "The web server dies and comes back."

  timeline {
    baseline = "3s"
    load     = var.load
    recovery = var.recovery
  }
  traffic "visitors" {
    script = "get.js"
    baseline {
      rate = 10
    }
  }
  steady_state {
    expect "availability" {
      that = sli.error_ratio < var.steady
      over = "2s"
    }
  }
  target "web" {
    process {
      listen = 8080
    }
  }
  fault "process_kill" "crash" {
    target          = target.web
    at              = var.at
    restarts_within = var.restarts
  }
  alarm "WebFailing" {
    source       = alarms.builtin.main
    fires_within = "11s"
    required     = true
  }
  abort "too much" {
    when = sli.error_ratio > var.abort
    over = "1s"
    held = "1s"
  }
  score {
    pass = 80
  }
}

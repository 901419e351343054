# The smallest game day with real Prometheus: it stops when there is a file "stop", and comes back if var.restart says so.

variable "restart" {
  default = "never"
}

lab "monitored" {
  node "web" {
    process "web" {
      command       = ["world", "-listen", ":8080"]
      listen        = 8080
      restart       = "always"
      restart_delay = "6s"
    }
  }
  node "monitoring" {
    process "prometheus" {
      command = ["sh", "stoppable", "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=/run/tsdb",
      "--web.listen-address=:9090", "--log.level=warn"]
      listen        = 9090
      restart       = var.restart
      restart_delay = "2s"
    }
  }
}

alarms "prometheus" "main" {
  url     = "http://monitoring:9090"
  timeout = "1s"
}

scenario "monitored" {
  timeline {
    baseline = "3s"
    load     = "20s"
    recovery = "4s"
  }
  traffic "visitors" {
    script = "get.js"
    baseline {
      rate = 10
    }
  }
  steady_state {
    expect "availability" { that = sli.error_ratio < 0.01 }
  }
  target "web" {
    process {
      listen = 8080
    }
  }
  fault "process_kill" "crash" {
    target          = target.web
    at              = "8s"
    restarts_within = "15s"
    steady_within   = "20s"
  }
  alarm "WebDown" {
    source       = alarms.prometheus.main
    fires_within = "15s"
    required     = true
  }
}

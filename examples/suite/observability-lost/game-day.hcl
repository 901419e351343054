# The host of Prometheus and Alertmanager loses power. From then on nothing can fire: does anything still page?
#
#   apt-get install prometheus prometheus-alertmanager
#   make suite
#   gameday run examples/suite/observability-lost/game-day.hcl
#   gameday run -var world=bad examples/suite/observability-lost/game-day.hcl

variable "world" {
  type        = string
  default     = "good"
  description = "good, or bad: with the flaw that this game day is meant to find"
}

locals {
  # The flaw: who watches over the monitoring pages through the monitoring.
  page = {
    good = "http://gameday:9911/webhook"
    bad  = "http://monitoring:9093/api/v2/alerts"
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
    process "shelf" {
      command = ["../../../bin/suite", "shelf", "-listen", ":9401", "-prices", "http://prices:9402/"]
      listen  = 9401
    }
  }
  node "elsewhere" { # a dead man's switch, which the first heartbeat arms
    process "watchman" {
      command = ["../../../bin/suite", "watchman", "-listen", ":9403", "-patience", "3s", "-page", local.page, "-tell", "http://gameday:9912/?token=awake"]
      listen  = 9403
    }
  }
  node "oncall" {
    process "bob" {
      command = ["../../../bin/oncall", "-desk", "http://gameday:9911", "-person", "bob", "-after", "1s"]
    }
  }
  # Debian's packages prometheus and prometheus-alertmanager. This node is the last to start: a Prometheus that is there
  # before the shop begins with an alarm.
  node "monitoring" {
    process "prometheus" {
      command = ["sh", "-c", join(" ", [
        "exec prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=/run/prometheus",
        "--web.listen-address=:9090",
        "--rules.alert.resend-delay=1s", # the heartbeat's: it is a minute otherwise
      ])]
      listen       = 9090
      ready_within = "30s"
    }
    process "alertmanager" {
      # The pause lets Prometheus evaluate its rules once: gameday does not begin without knowing what is quiet.
      command = ["sh", "-c", join(" ", [
        "sleep 3; exec prometheus-alertmanager",
        "--config.file=alertmanager.yml",
        "--storage.path=/run/alertmanager",
        "--web.listen-address=:9093",
        "--cluster.listen-address=",
      ])]
      listen       = 9093
      ready_within = "30s"
    }
  }
}

responders "desk" "ops" {
  listen = "0.0.0.0:9911"
  level { people = ["bob"] }
}

# What the watchman thinks is told to gameday, twice a second: so it is known that he noticed, whoever else was told.
alarms "webhook" "watchman" {
  listen      = "0.0.0.0:9912"
  token       = "awake"
  format      = "alertmanager"
  heartbeat   = "2s"
  clock_error = "100ms"
}
alarms "prometheus" "main" {
  url     = "http://monitoring:9090"
  timeout = "1s"
}

scenario "observability-lost" {
  summary = "Somebody hears within ten seconds that the monitoring is gone, and users feel nothing of it."
  owner   = "team-observability"

  timeline {
    baseline = "4s"
    load     = "14s"
    recovery = "13s" # until the heartbeat is back
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

  target "monitoring" {
    node { name = "monitoring" }
  }
  fault "node_restart" "power" {
    target   = target.monitoring
    at       = "3s"
    down_for = "10s"
    expect "users feel nothing" { that = sli.error_ratio < 0.02 }
  }

  alarm "MonitoringSilent" {
    source        = alarms.webhook.watchman
    cause         = fault.power
    fires_within  = "8s"
    pages_via     = responders.desk.ops
    pages_within  = "9s"
    clears_within = "12s"
    required      = true
  }
  # While it is down, Prometheus would not have told of an alarm about users. gameday cannot know it either, and says so.
  alarm "PricesMissing" {
    source = alarms.prometheus.main
    expect = "quiet"
    weight = 0.2
  }

  response "on-call" {
    source = responders.desk.ops
    to     = alarm.MonitoringSilent
    acknowledge {
      within   = "5s"
      required = true
    }
  }

  score { pass = 80 }
}

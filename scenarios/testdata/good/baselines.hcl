variable "zone" { default = "Europe/Berlin" }

alarms "prometheus" "main" {
  url   = "http://127.0.0.1:9090"
  token = secret("ROBOT")
}

scenario "measured" {
  timeline {
    baseline = "10s"
    load     = "60s"
    recovery = "10s"
  }
  traffic "metric" {
    script = "shoppers.js"
    baseline {
      prometheus {
        source = alarms.prometheus.main
        query  = "sum(rate(http_requests_total[5m]))"
      }
    }
  }
  traffic "peak" {
    script = "shoppers.js"
    baseline {
      max_age                = "30m"
      requests_per_iteration = 2.5
      prometheus {
        source    = alarms.prometheus.main
        query     = "sum(rate(http_requests_total[1m]))"
        over      = "1w2d12h"
        step      = "10m"
        quantile  = 0.5
        at        = "peak"
        time_zone = var.zone
      }
    }
  }
  traffic "day" {
    script = "shoppers.js"
    baseline {
      prometheus {
        source = alarms.prometheus.main
        query  = "sum(rate(http_requests_total[1d]))"
        at     = "any"
      }
    }
  }
  traffic "log" {
    script = "shoppers.js"
    baseline {
      access_log {
        path = "logs/access.log"
      }
    }
  }
  traffic "json" {
    script = "shoppers.js"
    baseline {
      max_age = "30d"
      access_log {
        path         = "/var/log/caddy/access.log"
        format       = "json"
        over         = "2h"
        step         = "1m"
        quantile     = 0.9
        max_gap      = "40m"
        time_zone    = var.zone
        time_field   = "ts"
        method_field = "request.method"
        path_field   = "request.uri"
      }
    }
  }
  traffic "pattern" {
    script = "shoppers.js"
    baseline {
      access_log {
        path    = "access.log"
        format  = "regexp"
        pattern = "^(?P<time>\\S+) (?P<path>\\S+)"
      }
    }
  }
  traffic "flows" {
    base = "http://127.0.0.1:8080"
    request "home" {
      weight = 3
      url    = "/"
    }
    flow "buy" {
      weight = 1
      request "add" { url = "/add" }
      request "pay" { url = "/pay" }
      request "see" { url = "/see" }
    }
    baseline {
      access_log { path = "access.log" }
    }
  }
  traffic "again" {
    script = "shoppers.js"
    baseline { run = "latest" }
  }
  traffic "named" {
    script = "shoppers.js"
    baseline {
      run     = "20261120-140212-measured"
      max_age = "90d"
    }
  }
  traffic "kept" {
    script = "shoppers.js"
    baseline { run = "runs/20261120-140212-measured" }
  }
}

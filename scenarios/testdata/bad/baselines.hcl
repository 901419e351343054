alarms "prometheus" "main" {
  url = "http://127.0.0.1:9090"
}
alarms "alertmanager" "main" {
  url = "http://127.0.0.1:9093"
}

scenario "s" {
  timeline {
    baseline = "10s"
    load     = "60s"
    recovery = "10s"
  }
  traffic "everything" {
    script = "shoppers.js"
    baseline {
      rate = 10
      run  = "latest"
      access_log { path = "x" }
    }
  }
  traffic "kept" {
    script         = "shoppers.js"
    keep_executors = true
    baseline { run = "latest" }
  }
  traffic "misspelt" {
    script = "shoppers.js"
    baseline {
      acces_log { path = "x" }
    }
  }
  traffic "given" {
    script = "shoppers.js"
    baseline {
      rate                   = 10
      max_age                = "1h"
      requests_per_iteration = 2
    }
  }
  traffic "run" {
    script = "shoppers.js"
    baseline {
      run                    = ""
      max_age                = "two days"
      requests_per_iteration = 2
    }
  }
  traffic "numbers" {
    script = "shoppers.js"
    baseline {
      run     = ["latest"]
      max_age = 12
    }
  }
  traffic "bare" {
    script = "shoppers.js"
    baseline {
      prometheus {
      }
    }
  }
  traffic "metrics" {
    script = "shoppers.js"
    baseline {
      requests_per_iteration = 0
      prometheus {
        source    = alarms.alertmanager.main
        query     = " "
        over      = "14 days"
        step      = "2d"
        quantile  = 95
        at        = "same weekday"
        time_zone = "CET-ish"
      }
    }
  }
  traffic "unknown" {
    script = "shoppers.js"
    baseline {
      prometheus {
        source = alarms.prometheus.man
        query  = "x"
        over   = "3d"
      }
    }
  }
  traffic "short" {
    script = "shoppers.js"
    baseline {
      prometheus {
        source = alarms.prometheus.main
        query  = "x"
        over   = "3h"
        at     = "peak"
      }
    }
  }
  traffic "coarse" {
    script = "shoppers.js"
    baseline {
      prometheus {
        source = alarms.prometheus.main
        query  = "rate(x[2h])"
      }
    }
  }
  traffic "fine" {
    script = "shoppers.js"
    baseline {
      prometheus {
        source = alarms.prometheus.main
        query  = "rate(x[5m])"
        step   = "1s"
        over   = "13w"
      }
    }
  }
  traffic "log" {
    script = "shoppers.js"
    baseline {
      access_log {
        path       = ""
        format     = "jsno"
        over       = "1m"
        quantile   = 0
        max_gap    = "-1s"
        time_zone  = ""
        time_field = "t"
      }
    }
  }
  traffic "uneven" {
    script = "shoppers.js"
    baseline {
      access_log {
        path = "x"
        step = "2500ms"
      }
    }
  }
  traffic "fields" {
    script = "shoppers.js"
    baseline {
      access_log {
        path        = "x"
        path_field  = "uri"
        pattern     = "x"
        step        = "1h"
      }
    }
  }
  traffic "json" {
    script = "shoppers.js"
    baseline {
      access_log {
        path       = "x"
        format     = "json"
        time_field = ""
      }
    }
  }
  traffic "patternless" {
    script = "shoppers.js"
    baseline {
      access_log {
        path   = "x"
        format = "regexp"
      }
    }
  }
  traffic "pattern" {
    script = "shoppers.js"
    baseline {
      access_log {
        path    = "x"
        format  = "regexp"
        pattern = "^(?P<when>.*)"
      }
    }
  }
  traffic "open" {
    script = "shoppers.js"
    baseline {
      access_log {
        path    = "x"
        format  = "regexp"
        pattern = "(?P<time>"
      }
      access_log {
        path = "y"
      }
    }
  }
}

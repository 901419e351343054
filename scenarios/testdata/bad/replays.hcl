scenario "s" {
  timeline {
    baseline = "10s"
    load     = "60s"
    recovery = "10s"
  }
  traffic "nothing" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "replay" {}
  }
  traffic "both" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "replay" {
      file = "rates-missing.csv"
      prometheus {
        source = alarms.prometheus.main
        query  = "x"
        over   = "1h"
      }
    }
  }
  traffic "missing" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "replay" {
      file = "rates-wrongg.csv"
    }
  }
  traffic "folder" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "replay" {
      file = "."
    }
  }
  traffic "wrong" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "replay" {
      file = "rates-wrong.csv"
    }
  }
  traffic "silent" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "replay" {
      file  = "rates-silent.csv"
      speed = 0
      scale = -1
    }
  }
  traffic "zero" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "replay" {
      file = "rates-silent.csv"
    }
  }
  traffic "unit" {
    script = "shoppers.js"
    baseline { rate = 0.5 }
    shape "replay" {
      file = "rates-unit.csv"
    }
  }
  traffic "asked" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "replay" {
      prometheus {
        source = alarms.prometheus.main
        query  = " "
        over   = "10s"
      }
    }
  }
}

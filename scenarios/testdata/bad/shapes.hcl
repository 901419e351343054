scenario "s" {
  timeline {
    baseline = "10s"
    load     = "60s"
    recovery = "10s"
  }
  traffic "unknown" {
    script   = "shoppers.js"
    arrivals = "poison"
    start    = "60s"
    baseline { rate = 10 }
    shape "step" {
      hold = "1s"
    }
  }
  traffic "twice" {
    script = "shoppers.js"
    start  = "-1s"
    baseline { rate = 10 }
    shape "steady" {}
    shape "steady" {}
  }
  traffic "attribute" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "steady" {
      at = "10s"
    }
  }
  traffic "unused" {
    script   = "shoppers.js"
    multiple = 3
    baseline { rate = 10 }
    shape "steps" {
      multiples = [1, 2]
      hold      = "10s"
    }
  }
  traffic "negative" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "steps" {
      multiples = [1, -2]
      hold      = "100ms"
      ramp      = "-1s"
    }
  }
  traffic "none" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "steps" {
      multiples = []
      hold      = "10s"
    }
  }
  traffic "silent" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "ramp" {
      from = 0
      to   = 0
      over = "10s"
    }
  }
  traffic "high" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "ramp" {
      to   = 1001
      over = "a while"
    }
  }
  traffic "flat" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "spike" {
      to   = 5
      at   = "10s"
      hold = "0s"
    }
  }
  traffic "wave" {
    script   = "shoppers.js"
    multiple = 1
    baseline { rate = 10 }
    shape "sine" {
      period = "10s"
    }
  }
  traffic "outside" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "sine" {
      from   = 4
      period = "5s"
    }
  }
  traffic "beyond" {
    script = "shoppers.js"
    start  = "2m"
    baseline { rate = 10 }
    shape "sine" {
      low    = 0
      period = "10s"
    }
  }
  traffic "kept" {
    script         = "shoppers.js"
    keep_executors = true
    start          = "10s"
    arrivals       = "poisson"
    shape "spike" {
      to   = 10
      at   = "10s"
      hold = "10s"
    }
  }
}

scenario "long" {
  timeline {
    baseline = "10s"
    load     = "168h"
    recovery = "10s"
  }
  traffic "waves" {
    script = "shoppers.js"
    baseline { rate = 10 }
    shape "sine" {
      period = "1m"
    }
  }
}

scenario "late" {
  timeline {
    baseline = "10s"
    load     = "60s"
    recovery = "10s"
  }
  traffic "first" {
    script = "shoppers.js"
    start  = "10s"
    baseline { rate = 10 }
  }
  traffic "second" {
    script = "shoppers.js"
    start  = "20s"
    baseline { rate = 10 }
  }
  steady_state {
    expect "one" { that = sli.second.error_ratio < 0.01 }
    expect "all" { that = sli.error_ratio < 0.01 }
  }
}

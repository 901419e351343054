scenario "s" {
  timeline {
    baseline = "10s"
    load     = "60s"
    recovery = "10s"
  }
  traffic "shoppers" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
  }
  traffic "p95" {
    script   = "shoppers.js"
    multiple = -3
    baseline {
      rate = 0
    }
  }
  traffic "none" {
  }
  traffic "hungry" {
    script = "shoppers.js"
    memory = "much"
    baseline {
      rate = 1
    }
  }
  traffic "starved" {
    script = "shoppers.js"
    memory = "10MB"
    baseline {
      rate = 1
    }
  }
  traffic "measured" {
    script = "shoppers.js"
    baseline {
    }
  }
  traffic "kept" {
    script         = "shoppers.js"
    keep_executors = true
    baseline {
      rate = 5
    }
  }
}

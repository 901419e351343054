scenario "s" {
  timeline {
    baseline = "10s"
    load     = "60s"
    recovery = "10s"
  }
  traffic "a" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
    run_on "job" {
      parallelism = 3
    }
  }
  traffic "b" {
    script     = "shoppers.js"
    generators = ["here", "here"]
    baseline {
      rate = 10
    }
    run_on "processes" {
      parallelism = 0
      namespace   = "load"
      resources {
        cpu = "1"
      }
    }
  }
  traffic "c" {
    script         = "shoppers.js"
    keep_executors = true
    run_on "processes" {
      parallelism = 3
    }
  }
  traffic "d" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
    run_on "jobs" {
      parallelism     = 3
      namespace       = "Load"
      service_account = "Gameday!"
      listen          = "7443"
      pull_secrets    = ["-"]
      starter_image   = "curl"
      resources {
        cpu    = "two"
        memory = "1 GB"
      }
      toleration {
        operator = "Is"
        effect   = "NoSleep"
      }
    }
  }
  traffic "e" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
    run_on "k6-operator" {
      parallelism = 3
      image       = "gameday"
      namespace   = "load"
      collector   = "https://x/"
      paralelism  = 4
    }
    run_on "jobs" {
      parallelism = 1
    }
  }
}

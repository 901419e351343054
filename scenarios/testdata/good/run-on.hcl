scenario "runners" {
  timeline {
    baseline = "10s"
    ramp     = "5s"
    load     = "60s"
    recovery = "10s"
  }
  traffic "operator" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
    run_on "k6-operator" {
      parallelism     = 3
      namespace       = "load"
      image           = "registry.example/gameday:1.0"

      initializer_image = "registry.example/k6:2.2"
      starter_image     = "registry.example/curl"

      collector       = "tls://10.0.0.5:7443"
      listen          = "127.0.0.1:8443"
      service_account = "gameday-runner"
      pull_secrets    = ["registry"]
      node_selector   = { pool = "load" }
      spread          = true
      resources {
        cpu    = "500m"
        memory = "1.5Gi"
      }
      toleration {
        key      = "load"
        operator = "Exists"
        effect   = "NoSchedule"
      }
      toleration {
        key   = "team"
        value = "shop"
      }
    }
  }
  traffic "jobs" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
    run_on "jobs" {
      parallelism = 2
      namespace   = "load"
      image       = "gameday"
    }
  }
  traffic "here" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
    run_on "processes" {
      parallelism = 3
    }
  }
  traffic "logs" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
    run_on "jobs" {
      parallelism = 2
      namespace   = "load"
      image       = "gameday"
      collector   = "logs"
    }
  }
}

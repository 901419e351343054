variable "project" {
  type    = string
  default = "shop"
}

scenario "containers" {
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
  steady_state {
    expect "availability" {
      that = sli.error_ratio < 0.01
      over = "3s"
    }
  }
  target "payments" {
    container {
      compose {
        project = var.project
        service = "payments"
      }
    }
  }
  target "ledger" {
    container {
      name   = "ledger-1"
      engine = "unix:///var/run/docker.sock"
    }
  }
  target "web" {
    pick    = 1
    at_most = "50%"
    container {
      label = { tier = "web", "com.example.team" = "checkout" }
    }
  }
  fault "process_kill" "crash" {
    target          = target.web
    at              = "2s"
    restarts_within = "10s"
  }
  fault "network_partition" "cut" {
    between  = [target.payments, target.ledger]
    at       = "10s"
    duration = "5s"
  }
  fault "node_restart" "reboot" {
    target   = target.ledger
    at       = "20s"
    down_for = "3s"
  }
  fault "cpu_stress" "busy" {
    target   = target.web
    cores    = 1
    at       = "30s"
    duration = "5s"
  }
}

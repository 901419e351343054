variable "hosts" {
  type    = list(string)
  default = ["web1", "deploy@web2"]
}
scenario "hosts" {
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
    }
  }
  target "payments" {
    host {
      ssh    = "web1"
      config = "ssh_config"
      sudo   = true
    }
    process {
      listen = 9102
    }
  }
  target "web" {
    host {
      ssh   = var.hosts
      guard = "/usr/local/bin/gameday-guard"
    }
    pick    = 1
    at_most = "50%"
  }
  fault "process_pause" "hang" {
    target   = target.payments
    at       = "5s"
    duration = "10s"
  }
  fault "network_partition" "cut" {
    between  = [target.payments, target.web]
    at       = "20s"
    duration = "10s"
  }
  fault "node_restart" "reboot" {
    target       = target.web
    after        = fault.cut
    how          = "power"
    boots_within = "2m"
    units        = ["nginx.service"]
  }
}

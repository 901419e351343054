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
  target "empty" {
    process {
    }
  }
  target "two" {
    process {
      listen = 1
    }
    node {
      name = "x"
    }
  }
  target "none" {
  }
  target "cloud" {
    podz {
      namespace = "x"
    }
  }
  target "port" {
    process {
      listen  = 70000
      command = "("
    }
  }
  target "many" {
    at_most = 0
    process {
      exe = "nginx"
    }
  }
  fault "node_restart" "reboot" {
    target = target.port
    at     = "5s"
  }
}

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
  target "nowhere" {
    host {
    }
  }
  target "none" {
    host {
      ssh = []
    }
  }
  target "option" {
    host {
      ssh = "-oProxyCommand=true"
    }
  }
  target "twice" {
    host {
      ssh     = ["web1", "web1"]
      guard   = "bin/gameday-guard"
      install = "/opt"
    }
  }
  target "kind" {
    host {
      ssh = { name = "web1" }
    }
  }
  target "two" {
    host {
      ssh = "web1"
    }
    node {
      name = "a"
    }
  }
  target "inner" {
    host {
      ssh = "web1"
    }
    process {
      listen = 70000
    }
  }
  target "host" {
    host {
      ssh = "web1"
    }
  }
  fault "process_kill" "crash" {
    target = target.host
    at     = "5s"
  }
}

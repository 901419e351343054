lab "world" {
  node "a" {
    process "a" {
      command = ["sleep", "10"]
    }
  }
}
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
  target "web" {
    host {
      ssh = "web1"
    }
  }
}

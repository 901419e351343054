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
    generators = ["here", "web1"]
  }
  traffic "fine" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
    generators = ["here", "here"]
  }
}

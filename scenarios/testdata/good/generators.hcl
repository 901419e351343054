scenario "generators" {
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
    generators = ["here", "web1", "ssh://ops@203.0.113.7:2222", "web1"]
    generator_hosts {
      config  = "ssh_config"
      install = "/opt/gameday"
    }
  }
  traffic "alone" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
    generators = ["here"]
  }
}

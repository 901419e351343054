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
    generators = []
  }
  traffic "b" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
    generators = ["here", "-oProxyCommand=true"]
  }
  traffic "c" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
    generators = { here = 1 }
  }
  traffic "d" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
    generator_hosts {
      config = "ssh_config"
    }
  }
  traffic "e" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
    generators = ["here", "here"]
    generator_hosts {
      install = "/opt"
    }
  }
  traffic "f" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
    generators = ["web1"]
    generator_hosts {
      program = "bin/gameday"
      install = "opt"
    }
  }
}

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
    container {
    }
  }
  target "engine-only" {
    container {
      engine = "unix:///run/user/1000/docker.sock"
    }
  }
  target "name" {
    container {
      name = "/payments"
    }
  }
  target "remote" {
    container {
      name   = "payments"
      engine = "tcp://10.0.0.7:2375"
    }
  }
  target "relative" {
    container {
      name   = "payments"
      engine = "unix://docker.sock"
    }
  }
  target "labels" {
    container {
      label = { "" = "web" }
    }
  }
  target "no-project" {
    container {
      compose {
        service = "payments"
      }
    }
  }
  target "empty-project" {
    container {
      compose {
        project = ""
      }
    }
  }
  target "two" {
    container {
      compose {
        project = "shop"
      }
      compose {
        project = "shop"
      }
    }
  }
  target "misspelt" {
    container {
      nmae = "payments"
    }
  }
  target "kind" {
    contianer {
      name = "payments"
    }
  }
}

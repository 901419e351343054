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
  blind = "perhaps"
  noise {
    watch   = ["a"]
    at_most = "many"
  }
  score {
    pass = 101
    weights = { service = -1, speed = 3 }
  }
}

scenario "s" {
  timeline {
    baseline = "10s"
    load     = "60s"
    recovery = "10s"
  }
  traffic "shoppers" {
    script = "shopers.js"
    baseline {
      rate = 10
    }
  }
}

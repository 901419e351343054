scenario "s" {
  timeline {
    baseline = "10s"
    load     = "60s"
    recovery = "10s"
  }
  traffic "shoppers" {
    script = "syntax.js"
    baseline {
      rate = 10
    }
  }
}

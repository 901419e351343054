scenario "s" {
  timelines {
    baseline = "10s"
    load     = "60s"
    recovery = "10s"
  }
  trafic "shoppers" {
    script = "shoppers.js"
    baseline {
      rate = 10
    }
  }
}

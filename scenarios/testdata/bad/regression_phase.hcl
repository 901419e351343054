scenario "s" {
  timeline {
    baseline = "5s"
    load     = "5s"
    recovery = "0s"
  }
  traffic "t" {
    script = "shoppers.js"
    baseline { rate = 1 }
  }
  regression {
    phases = ["recovery"]
  }
}

scenario "requests" {
  timeline {
    baseline = "1s"
    load     = "5s"
    recovery = "0s"
  }
  traffic "guests" {
    baseline { rate = 1 }
    flow "coffee" {
      request "fill" { url = "http://pot/" }
      request "brew" {
        url    = "http://pot/"
        method = "brew"
      }
    }
  }
}

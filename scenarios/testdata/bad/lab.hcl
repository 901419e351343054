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
  target "x" {
    node {
      name = "ledgr"
    }
  }
}

lab "shop" {
  node "Ledger" {
  }
  node "ledger" {
    process "a" {
      command       = []
      restart       = "sometimes"
      restart_delay = "soon"
    }
  }
}

lab "shop" {
  node "ledger" {
    process "ledger" {
      command = ["sleep", "100"]
    }
  }
}
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
  target "ledger" {
    container {
      name = "ledger"
    }
  }
  fault "node_restart" "reboot" {
    target = target.ledger
    at     = "5s"
  }
}

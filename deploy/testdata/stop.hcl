# A fault that stands for longer than anybody waits: somebody deletes the pod before.
scenario "stopped-in-the-middle" {
  timeline {
    baseline = "2s"
    load     = "10m"
    recovery = "1s"
  }
  traffic "readers" {
    request "receipt" { url = "http://ledger:9103/healthz" }
    baseline { rate = 10 }
  }
  target "ledger" {
    pods {
      namespace = "shop"
      labels    = { app = "ledger" }
    }
  }
  fault "node_restart" "reboot" {
    target   = target.ledger
    at       = "0s"
    down_for = "5m"
  }
}

scenario "in-a-cluster" {
  kubernetes { context = "stage" }

  timeline {
    baseline = "10s"
    load     = "2m"
    recovery = "30s"
  }
  traffic "shoppers" {
    request "home" { url = "http://shop.example:8080/" }
    baseline { rate = 10 }
  }
  steady_state {
    expect "availability" { that = sli.error_ratio < 0.01 }
  }

  target "payments" {
    at_most = 2
    pods {
      namespace = "shop"
      labels    = { app = "payments" }
    }
  }
  fault "process_kill" "crash" {
    target          = target.payments
    at              = "5s"
    restarts_within = "30s"
  }
  fault "network_partition" "cut" {
    target   = target.payments
    to       = ["10.1.2.3"]
    at       = "40s"
    duration = "20s"
  }
  fault "cpu_stress" "slow" {
    target   = target.payments
    at       = "70s"
    duration = "10s"
    percent  = 80
  }
}

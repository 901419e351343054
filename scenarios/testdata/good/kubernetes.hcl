scenario "in-a-cluster" {
  kubernetes {
    kubeconfig = "kube/config:~/.kube/other"
    context    = "stage"
  }

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
    pick    = "50%"
    at_most = 3
    pods {
      namespace  = "shop"
      labels     = { app = "payments" }
      fields     = { "spec.nodeName" = "worker-1" }
      containers = ["app"]
    }
  }
  target "ledger" {
    pods {
      namespace = "shop"
      labels    = { "app.kubernetes.io/name" = "ledger", tier = "" }
    }
  }
  target "vm" {
    instance {
      namespace = "chaos"
      secret    = "cloud-key"
      gcp {
        project  = "shop"
        zone     = "europe-west1-b"
        instance = "ledger"
      }
    }
  }
  target "iron" {
    machine {
      namespace = "chaos"
      address   = "http://10.0.0.5:31767"
    }
  }
  target "local" {
    process { listen = 9102 }
  }

  fault "process_kill" "crash" {
    target          = target.payments
    at              = "5s"
    restarts_within = "30s"
  }
  fault "network_partition" "cut" {
    between  = [target.payments, target.ledger]
    at       = "20s"
    duration = "10s"
  }
  fault "node_restart" "reboot" {
    target   = target.vm
    at       = "40s"
    down_for = "10s"
  }
  fault "cpu_stress" "busy" {
    target   = target.iron
    at       = "60s"
    duration = "5s"
    percent  = 80
  }
  fault "chaos_mesh" "storm" {
    manifest = "storm.yaml"
    at       = "70s"
    duration = "10s"
  }
  fault "process_kill" "here" {
    target = target.local
    at     = "90s"
  }
}

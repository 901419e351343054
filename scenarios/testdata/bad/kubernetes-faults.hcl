scenario "s" {
  timeline {
    baseline = "10s"
    load     = "2m"
    recovery = "30s"
  }

  traffic "t" {
    request "home" { url = "http://shop.example/" }
    baseline { rate = 1 }
  }

  target "web" {
    pods {
      namespace = "shop"
      labels    = { app = "web" }
    }
  }
  target "here" {
    process { listen = 80 }
  }

  fault "fd_exhaustion" "files" {
    target   = target.web
    at       = "1s"
    duration = "5s"
  }
  fault "network_partition" "cut" {
    between  = [target.web, target.here]
    at       = "10s"
    duration = "5s"
  }
  fault "time_skew" "later" {
    target   = target.here
    at       = "15s"
    duration = "5s"
    offset   = "1h"
  }
  fault "chaos_mesh" "misspelt" {
    manifest = "kubernetes-misspelt.yaml"
    at       = "20s"
    duration = "5s"
  }
  fault "chaos_mesh" "aimed" {
    target   = target.web
    manifest = "kubernetes-misspelt.yaml"
    at       = "30s"
    duration = "5s"
  }
  fault "chaos_mesh" "gone" {
    manifest = "kubernetes-mispelt.yaml"
    at       = "40s"
    duration = "5s"
  }
  fault "chaos_mesh" "endless" {
    manifest = "kubernetes-misspelt.yaml"
    at       = "50s"
  }
}

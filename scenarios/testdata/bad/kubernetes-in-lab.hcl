lab "world" {
  node "web" {}
}

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
  fault "chaos_mesh" "storm" {
    manifest = "kubernetes-misspelt.yaml"
    at       = "20s"
    duration = "5s"
  }
}

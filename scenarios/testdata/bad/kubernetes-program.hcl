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
  fault "port_exhaustion" "ports" {
    target   = target.web
    at       = "1s"
    duration = "5s"
  }
  fault "fd_exhaustion" "files" {
    target   = target.web
    at       = "10s"
    duration = "5s"
  }
}

scenario "s" {
  kubernetes {
    context    = ""
    kubeconfig = "a"
  }
  kubernetes {}

  timeline {
    baseline = "10s"
    load     = "2m"
    recovery = "30s"
  }

  traffic "t" {
    request "home" { url = "http://shop.example/" }
    baseline { rate = 1 }
  }

  target "all" {
    pods { namespace = "shop" }
  }
  target "system" {
    pods {
      namespace = "kube-system"
      labels    = { k8s-app = "kube-dns" }
    }
  }
  target "names" {
    pods {
      namespace  = "Shop"
      labels     = { "Bad Key" = "x", ok = "not/ok", "a.example/b/c" = "x" }
      fields     = { nodeName = "w1", "spec.nodeName" = "w1,w2" }
      containers = ["app", "app", "App"]
    }
  }
  target "nowhere" {
    pods { labels = { app = "x" } }
  }
  target "cloudless" {
    instance { namespace = "chaos" }
  }
  target "clouds" {
    instance {
      namespace = "chaos"
      secret    = "No Secret"
      aws {
        region   = ""
        instance = "web1"
      }
      azure {
        subscription   = "s"
        resource_group = "g"
        vm             = "v"
      }
    }
  }
  target "iron" {
    machine { namespace = "kube-public" }
  }
  target "irons" {
    machine {
      namespace = "chaos"
      name      = "m1"
      address   = "10.0.0.5:31767"
    }
  }
  target "fine" {
    instance {
      namespace = "chaos"
      aws {
        region   = "eu-west-1"
        instance = "i-0123456789abcdef0"
      }
    }
  }

  fault "process_kill" "crash" {
    target = target.fine
    at     = "1s"
  }
  fault "cpu_stress" "busy" {
    target   = target.fine
    at       = "1s"
    duration = "5s"
  }
}

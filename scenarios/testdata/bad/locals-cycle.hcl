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
}

locals {
  a = local.b + 1
  b = local.c
  c = local.a
  d = local.e
  e = 5
}

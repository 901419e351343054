variable "world" {
  type    = string
  default = "bda"
}

locals {
  rate    = { good = 10, bad = 20 }[var.world]
  ending  = { good = 10, bad = 20 }["goood"]
  nested  = { good = 10, bad = 20 }[lower("FAR")]
  another = [1, 2][5]
  token   = { good = 10, bad = 20 }[secret("HOME")]
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
      rate = local.rate
    }
  }
}

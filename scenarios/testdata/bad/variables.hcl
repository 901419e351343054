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
  owner = var.ower
}
variable "owner" {
  type = string
}
variable "owner" {
  default = "x"
}
variable "count" {
  type    = number
  default = "many"
}

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
  target "zero" {
    pick = 0
    process { exe = "nginx" }
  }
  target "half" {
    pick = 1.5
    process { exe = "nginx" }
  }
  target "some" {
    pick = "some"
    process { exe = "nginx" }
  }
  target "share" {
    pick    = "150%"
    at_most = "0%"
    process { exe = "nginx" }
  }
  target "list" {
    pick = [1]
    process { exe = "nginx" }
  }
  target "over" {
    pick = 3
    process { exe = "nginx" }
  }
  target "beyond" {
    pick    = 3
    at_most = 2
    process { exe = "nginx" }
  }
  target "unbounded" {
    at_most = "all"
    process { exe = "nginx" }
  }
  target "huge" {
    pick    = 20000
    at_most = 20000
    process { exe = "nginx" }
  }
  target "unset" {
    pick = var.none
    process { exe = "nginx" }
  }
  target "unit" {
    process { unit = "system.slice/payments.service" }
  }
  target "cgroup" {
    process { cgroup = "system.slice" }
  }
  target "fine" {
    pick    = "30%"
    at_most = "50%"
    process { unit = "payments" }
  }
  fault "process_pause" "hang" {
    target          = target.fine
    at              = "5s"
    duration        = "5s"
    method          = "freeze"
    restarts_within = "5s"
  }
}

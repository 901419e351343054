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
  target "workers" {
    pick    = "50%"
    at_most = "60%"
    process { unit = "workers.service" }
  }
  target "both" {
    pick    = "all"
    at_most = 2
    process { cgroup = "/system.slice/workers.service" }
  }
  target "one" {
    pick    = 1
    at_most = null
    process { exe = "nginx" }
  }
  fault "process_pause" "hang" {
    target   = target.workers
    at       = "5s"
    duration = "5s"
    tree     = true
  }
  fault "process_pause" "frozen" {
    target   = target.one
    at       = "20s"
    duration = "5s"
    method   = "freezer"
  }
  fault "process_kill" "crash" {
    target = target.both
    at     = "30s"
  }
}

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
  target "web" {
    process {
      listen = 8080
    }
  }
  fault "process_kill" "a" {
    target = target.web
    after  = fault.c
  }
  fault "process_kill" "b" {
    target = target.web
    after  = fault.a
  }
  fault "process_kill" "c" {
    target = target.web
    after  = fault.b
  }
  fault "process_kill" "self" {
    target = target.web
    after  = fault.self
  }
}

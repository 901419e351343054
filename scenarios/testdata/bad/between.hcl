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
  target "db" {
    process {
      listen = 5432
    }
  }
  fault "process_kill" "a" {
    between = [target.web, target.db]
    at      = "1s"
  }
  fault "network_partition" "b" {
    between  = [target.web]
    at       = "1s"
    duration = "5s"
  }
  fault "network_partition" "c" {
    between  = [target.web, target.web]
    at       = "1s"
    duration = "5s"
  }
  fault "network_partition" "d" {
    between  = [target.web, target.db]
    target   = target.web
    at       = "1s"
    after    = fault.a
    duration = "5s"
  }
  fault "network_partition" "e" {
    duration = "5s"
  }
}

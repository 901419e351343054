variable "multiple" {
  type    = number
  default = 2
}

scenario "first" {
  summary = "A small one."
  blind   = true
  timeline {
    baseline = "5m"
    ramp     = "1m"
    load     = "20m"
    recovery = "4m"
  }
  traffic "t" {
    script   = "t.js"
    multiple = var.multiple
    baseline { rate = 1 }
  }
  steady_state {
    expect "works" { that = sli.error_ratio < 0.5 }
  }
}
scenario "second" {
  summary = "A small one."
  
  timeline {
    baseline = "5m"
    ramp     = "1m"
    load     = "20m"
    recovery = "4m"
  }
  traffic "t" {
    script   = "t.js"
    multiple = var.multiple
    baseline { rate = 1 }
  }
  steady_state {
    expect "works" { that = sli.error_ratio < 0.5 }
  }
}

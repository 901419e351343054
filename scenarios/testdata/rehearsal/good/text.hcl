variable "multiple" {
  type    = number
  default = 2
}

scenario "text" {
  summary = file("summary.txt")
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

time_zone = "UTC"
schedule "a" {
  scenarios = ["../good/drill.hcl"]
  cron     = "0 10 * * *"
  moment   = "randm"
  catch_up = "twice"
  anchor   = "yesterday"
  skip_if {
    incident_open = true
    error_budget "shop" {
      source = "prometheus.main"
      query  = ""
      below  = 0.1
    }
  }
}
schedule "b" {
  scenarios = ["../good/drill.hcl"]
  scedule = "0 10 * * *"
}
schedule "c" {
  scenarios = ["../good/drill.hcl"]
}

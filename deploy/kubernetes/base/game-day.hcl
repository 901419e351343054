# A first game day in a cluster: one pod of a service dies under usual traffic, and another must come. Put your own in its place,
# with the scripts and data that it names, in kustomization.yaml. The schedule runs it; so does
#
#   kubectl -n gameday create job today --from=cronjob/game-day

variable "service" {
  type        = string
  default     = "http://storefront.shop:9101"
  description = "where users come in"
}

scenario "a-pod-dies" {
  summary = "One pod of the storefront dies; shoppers hardly notice, and another pod comes."
  owner   = "team-checkout"

  timeline {
    baseline = "60s"
    ramp     = "10s"
    load     = "3m"
    recovery = "60s"
  }

  traffic "shoppers" {
    base = var.service
    request "catalogue" { url = "/" }
    baseline { rate = 20 }
  }

  steady_state {
    expect "availability" { that = sli.error_ratio < 0.01 }
    expect "latency" { that = sli.p95 < seconds("300ms") }
  }

  target "storefront" {
    pods {
      namespace = "shop"
      labels    = { "app" = "storefront" }
    }
    pick    = 1
    at_most = 1
  }

  fault "process_kill" "dies" {
    target          = target.storefront
    at              = "20s"
    restarts_within = "60s"
    expect "others take over" { that = sli.error_ratio < 0.05 }
  }

  abort "error storm" {
    when = sli.error_ratio > 0.50
    held = "15s"
  }
  score { pass = 80 }
}

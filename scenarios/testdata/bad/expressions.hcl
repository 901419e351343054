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
  steady_state {
    expect "typo" { that = sli.eror_ratio < 0.01 }
    expect "stream typo" { that = sli.shoppers.p59 < 1 }
    expect "no such stream" { that = sli.buyers.p95 < 1 }
    expect "not a condition" { that = sli.p95 }
    expect "text" { that = sli.p95 < "300ms" }
    expect "function" { that = format("%s", sli.p95) == "1" }
    expect "constant" { that = 1 < 2 }
    expect "only a stream" { that = sli.shoppers < 1 }
    expect "fine" { that = max(sli.p95, sli.shoppers.p99) < seconds("300ms") }
    expect "bad seconds" { that = sli.p95 < seconds("fast") }
  }
}

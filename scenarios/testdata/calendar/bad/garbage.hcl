time_zone = "UTC"
schedule "page" {
  scenarios = ["../good/drill.hcl"]
  cron      = "0 10 * * tue"
  freeze    = ["garbage-page.ics"]
}
schedule "cut" {
  scenarios = ["../good/drill.hcl"]
  cron      = "0 10 * * tue"
  freeze    = ["garbage-cut.ics"]
}
schedule "binary" {
  scenarios = ["../good/drill.hcl"]
  cron      = "0 10 * * tue"
  freeze    = ["garbage-binary.ics"]
}
schedule "empty" {
  scenarios = ["../good/drill.hcl"]
  cron      = "0 10 * * tue"
  freeze    = ["garbage-empty.ics"]
}
schedule "rule" {
  scenarios = ["../good/drill.hcl"]
  cron      = "0 10 * * tue"
  freeze    = ["garbage-rule.ics"]
}

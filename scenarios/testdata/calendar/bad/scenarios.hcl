time_zone = "UTC"
schedule "missing" {
  scenarios = ["missing.hcl"]
  cron      = "0 10 * * *"
}
schedule "broken" {
  scenarios = ["broken.scenario"]
  cron      = "0 10 * * *"
}
schedule "which" {
  scenarios = ["../good/two.hcl"]
  cron      = "0 10 * * *"
}
schedule "other" {
  scenario "../good/two.hcl" { name = "frist" }
  cron = "0 10 * * *"
}
schedule "lists" {
  scenarios = ["../good/drill.hcl"]
  scenario "../good/two.hcl" { name = "first" }
  cron = "0 10 * * *"
}
schedule "none" {
  cron = "0 10 * * *"
}
schedule "variable" {
  scenarios = ["../good/drill.hcl"]
  variables = { multipel = 3 }
  cron      = "0 10 * * *"
}

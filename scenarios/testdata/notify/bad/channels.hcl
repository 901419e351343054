time_zone = "Europe/Berlin"

notify "slak" "a" {
  url_env = "A"
}
notify "slack" "Big" {
  url_env = "A"
}
notify "slack" "twice" {
  url_env = "A"
}
notify "slack" "twice" {
  url_env = "B"
}
notify "slack" "clear" {
  url = "https://hooks.slack.com/services/T0/B0/not-a-real-one"
}
notify "slack" "nowhere" {}
notify "teams" "both" {
  url_env  = "A"
  url_file = "a"
}
notify "teams" "variable" {
  url_env = "https://prod.logic.azure.com/workflows/1"
}
notify "mattermost" "mail" {
  url_env    = "A"
  recipients = ["sre@example.com"]
}
notify "slack" "words" {
  url_env = "A"
  on      = ["comming", "ended"]
  to      = "facilitator"
  ahead   = "1 day"
}
notify "slack" "nothing" {
  url_env = "A"
  on      = []
}
notify "slack" "stale" {
  url_env = "A"
  on      = ["stale"]
}
notify "slack" "limit" {
  url_env     = "A"
  on          = ["ended"]
  stale_after = "a month"
}
notify "slack" "long" {
  url_env = "A"
  ahead   = "5w"
  link    = "https://ann:secret@example.com/?token=x"
}
notify "webhook" "query" {
  url = "https://example.com/hook?token=x"
}
notify "webhook" "plain" {
  url = "http://example.com/hook"
}
notify "webhook" "unknown" {
  url       = "https://example.com/hook"
  secrt_env = "A"
}

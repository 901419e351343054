time_zone = "Europe/Berlin"

notify "email" "half" {
  server = "smtp.example.com"
}
notify "email" "login" {
  server     = "smtp.example.com"
  from       = "gameday@example.com"
  recipients = ["sre@example.com"]
  username   = "gameday"
}
notify "email" "addresses" {
  server     = "smtp.example.com:many"
  from       = "game day"
  recipients = ["sre@example.com", "nobody"]
}
notify "email" "clear" {
  server     = "smtp.example.com:25"
  from       = "gameday@example.com"
  recipients = ["sre@example.com"]
  tls        = "none"
}
notify "email" "tls" {
  server     = "smtp.example.com"
  from       = "gameday@example.com"
  recipients = ["sre@example.com"]
  tls        = "startls"
  url_env    = "A"
}

schedule "weekly" {
  scenarios = ["../../calendar/good/drill.hcl"]
  every     = "1w"
  window {
    from = "10:00"
    to   = "16:00"
  }
  notify "slack" "here" {
    url_env = "A"
    on      = ["rehearsal"]
  }
}

rehearsal "launch" {
  scenarios = ["../../calendar/good/drill.hcl"]
  notify "slack" "here" {
    url_env = "A"
    on      = ["coming"]
  }
}

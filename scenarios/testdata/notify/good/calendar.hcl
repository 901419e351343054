time_zone = "Europe/Berlin"

notify "slack" "sre" {
  url_env     = "GAMEDAY_SRE_URL"
  stale_after = "4w"
}
notify "slack" "leads" {
  url_file = "secrets/leads"
  to       = "facilitators"
  on       = ["coming", "begun", "residue"]
  ahead    = "2h"
}
notify "teams" "shop" {
  url_env = "GAMEDAY_SHOP_URL"
  on      = ["coming", "ended"]
  link    = "https://gameday.example.com/"
}
notify "webhook" "board" {
  url        = "https://board.example.com/hooks/gameday"
  secret_env = "GAMEDAY_BOARD_KEY"
  ca_file    = "ca.pem"
}
notify "email" "team" {
  server        = "smtp.example.com"
  from          = "Game days <gameday@example.com>"
  recipients    = ["sre@example.com"]
  username      = "gameday"
  password_file = "/run/secrets/mail"
  on            = ["ended"]
}

schedule "weekly" {
  scenarios = ["../../calendar/good/drill.hcl"]
  every     = "1w"
  window {
    from = "10:00"
    to   = "16:00"
  }
  notify "mattermost" "sre" {
    url_env = "GAMEDAY_MATTERMOST_URL"
    ahead   = "1w"
  }
}

rehearsal "launch" {
  scenarios = ["../../calendar/good/drill.hcl"]
  notify "email" "launch" {
    server     = "[::1]:2525"
    from       = "gameday@example.com"
    recipients = ["launch@example.com", "sre@example.com"]
    tls        = "none"
  }
}

time_zone      = "Europe/Berlin"
require_labels = { chaos = "allowed" }

kinds {
  allow = ["network_*", "process_kill"]
  deny  = ["node_restart"]
}
deny {
  exe      = ["^/usr/sbin/sshd$"]
  command  = ["^postgres"]
  units    = ["systemd-*", "sshd.service"]
  networks = ["10.9.1.7/16", "2001:db8::1"]
  paths    = ["/var/lib/postgresql/"]
  nodes    = ["db-*"]
}
at_most {
  places  = 3
  percent = 34
}
max_duration {
  fault = "10m"
  run   = "2h"
}
hours {
  days = ["mon-thu"]
  from = "09:00"
  to   = "17:00"
}
hours {
  days      = ["fri-mon", "Sat"]
  from      = "22:00"
  to        = "06:00"
  time_zone = "UTC"
}
freeze "peak" {
  from = "2026-12-20"
  to   = "2027-01-02"
  why  = "Christmas sales"
}
freeze "launch" {
  from      = "2026-11-03 18:00"
  to        = "2026-11-04T06:00:00Z"
  time_zone = "America/New_York"
}
approval {
  required  = true
  approvers = ["ann", "bob"]
}
audit {
  required = true
}

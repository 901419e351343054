# A replica of a PostgreSQL stops replaying what its primary sends, as behind a long query. It answers, from the past.
#
#   make suite
#   gameday run examples/suite/replica-lags/game-day.hcl
#   gameday run -var world=bad examples/suite/replica-lags/game-day.hcl

variable "world" {
  type        = string
  default     = "good"
  description = "good, or bad: with the flaw that this game day is meant to find"
}

locals {
  # The flaw: notes are read from the replica however far it is behind. 0 is no limit.
  lag_limit = { good = "300ms", bad = "0" }[var.world]
}

lab "notes" {
  node "primary" {
    process "postgres" {
      command      = ["../../../bin/suite", "postgres", "-schema", "notes"]
      listen       = 5432
      ready_within = "60s"
    }
  }
  node "replica" {
    process "postgres" {
      command      = ["../../../bin/suite", "postgres", "-follow", "primary:5432"]
      listen       = 5432
      ready_within = "60s"
    }
  }
  node "notes" {
    process "notes" {
      command = ["../../../bin/suite", "notes", "-listen", ":9131", "-primary", "primary:5432", "-replica", "replica:5432",
      "-lag-limit", local.lag_limit]
      listen       = 9131
      ready_within = "90s" # it waits for the databases
    }
  }
}

alarms "builtin" "main" {
  rule "ReplicaLate" {
    when   = sli.lag.error_ratio > 0.3
    over   = "2s"
    held   = "1s"
    keep   = "1s"
    labels = { severity = "page", team = "databases" }
    annotations = {
      summary     = "The replica is more than a second behind."
      runbook_url = "https://runbooks.example/replica-late"
    }
  }
  rule "NotesMissing" { # the bad world's: users must not feel what a replica does
    when   = sli.users.error_ratio > 0.20
    over   = "2s"
    held   = "1s"
    keep   = "1s"
    labels = { severity = "page", team = "notes" }
    annotations = {
      summary     = "Users do not find what they have just written."
      runbook_url = "https://runbooks.example/notes-missing"
    }
  }
}

scenario "replica-lags" {
  summary = "Users find what they have written while the replica is behind, and somebody hears of it."
  owner   = "team-notes"

  timeline {
    baseline = "5s"
    load     = "16s"
    recovery = "7s"
  }

  traffic "users" {
    base     = "http://notes:9131"
    timeout  = "2s"
    multiple = 1
    baseline { rate = 12 } # each writes a note, and reads it
    flow "write-and-read" {
      request "write" {
        method = "POST"
        url    = "/notes"
        expect { status = [201] }
        extract "id" { json = "id" }
        think = "600ms"
      }
      request "read" {
        url = "/notes/${value.id}"
        expect { json = { body = "remember the milk" } }
      }
    }
  }
  # Not a user: it looks at the replica's lag, and fails while that is over a second.
  traffic "lag" {
    base     = "http://notes:9131"
    timeout  = "2s"
    multiple = 1
    baseline { rate = 4 }
    request "lag" {
      url = "/lag"
      expect { json = { late = false } }
    }
  }

  steady_state {
    expect "notes are there" {
      that = sli.users.error_ratio < 0.02
      over = "2s"
    }
    expect "quickly" {
      that = sli.users.p95 < seconds("500ms")
      over = "2s"
    }
  }

  # What the primary sends is still received, and waits to be replayed by this process.
  target "replay" {
    process { command = "postgres: startup" }
  }
  fault "process_pause" "stall" {
    target        = target.replay
    at            = "3s"
    duration      = "9s"
    steady_within = "6s"
    expect "users find their notes" {
      that     = sli.users.error_ratio < 0.05
      required = true
    }
    expect "still quickly" { that = sli.users.p95 < seconds("500ms") }
  }

  alarm "ReplicaLate" {
    source        = alarms.builtin.main
    cause         = fault.stall
    fires_within  = "8s"
    clears_within = "9s"
    required      = true
  }
  noise { watch = { severity = "page" } }

  score { pass = 80 }
}

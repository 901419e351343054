# The workers of a queue hang, jobs pile up in Redis, and logins are in the same Redis.
#
#   make suite
#   gameday run examples/suite/queue-fills/game-day.hcl
#   gameday run -var world=bad examples/suite/queue-fills/game-day.hcl

variable "world" {
  type        = string
  default     = "good"
  description = "good, or bad: with the flaw that this game day is meant to find"
}

locals {
  # The flaw: nothing bounds the queue but the memory that everything else in this Redis needs too. 0 is no bound.
  bound = { good = "40", bad = "0" }[var.world]
}

lab "queue" {
  node "queue" {
    process "redis" { # Debian's, with 2.6 MB and nothing on disk
      command = ["redis-server", "--port", "6379", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--appendonly", "no",
      "--dir", "/run", "--maxmemory", "2600kb", "--maxmemory-policy", "noeviction"]
      listen = 6379
    }
  }
  node "api" {
    process "jobs" {
      command = ["../../../bin/suite", "jobs", "-listen", ":9111", "-redis", "queue:6379", "-size", "12000", "-bound", local.bound]
      listen  = 9111
    }
  }
  node "worker" {
    process "worker" {
      command = ["../../../bin/suite", "worker", "-listen", ":9112", "-redis", "queue:6379", "-slots", "4", "-each", "40ms"]
      listen  = 9112
    }
  }
  node "oncall" {
    process "bob" {
      command = ["../../../bin/oncall", "-desk", "http://gameday:9911", "-person", "bob", "-after", "1s"]
    }
  }
}

responders "desk" "ops" {
  listen = "0.0.0.0:9911"
  level { people = ["bob"] }
}

alarms "builtin" "main" {
  notify = [responders.desk.ops]
  rule "JobsLate" {
    when   = sli.queue.error_ratio > 0.3
    over   = "2s"
    held   = "1s"
    keep   = "1s"
    labels = { severity = "page", team = "jobs" }
    annotations = {
      summary     = "The first job in the queue has waited for more than a second and a half."
      runbook_url = "https://runbooks.example/jobs-late"
    }
  }
  rule "LoginsFailing" { # the bad world's: no alarm of this game day should need it
    when   = sli.logins.error_ratio > 0.10
    over   = "2s"
    held   = "1s"
    keep   = "1s"
    labels = { severity = "page", team = "accounts" }
    annotations = {
      summary     = "More than one login in ten fails."
      runbook_url = "https://runbooks.example/logins-failing"
    }
  }
}

scenario "queue-fills" {
  summary = "When workers hang, new jobs are refused in time, and nobody else who uses the same Redis feels it."
  owner   = "team-jobs"

  timeline {
    baseline = "4s"
    load     = "19s"
    recovery = "7s"
  }

  traffic "jobs" {
    base     = "http://api:9111"
    timeout  = "2s"
    multiple = 1
    baseline { rate = 25 } # workers could do a hundred
    request "add" {
      method = "POST"
      url    = "/jobs"
      expect { status = [202] }
    }
  }
  traffic "logins" {
    base     = "http://api:9111"
    timeout  = "2s"
    multiple = 1
    baseline { rate = 10 }
    request "login" {
      method = "POST"
      url    = "/logins"
    }
  }
  # Not a user: it looks at the queue, and fails while its first job is late.
  traffic "queue" {
    base     = "http://api:9111"
    timeout  = "2s"
    multiple = 1
    baseline { rate = 4 }
    request "state" {
      url = "/queue"
      expect { json = { late = false } }
    }
  }

  steady_state {
    expect "jobs are taken" {
      that = sli.jobs.error_ratio < 0.02
      over = "2s"
    }
    expect "logins work" {
      that = sli.logins.error_ratio < 0.02 && sli.logins.p95 < seconds("500ms")
      over = "2s"
    }
  }

  target "worker" {
    process { listen = 9112 }
  }
  fault "process_pause" "hang" {
    target        = target.worker
    at            = "3s"
    duration      = "12s"
    steady_within = "6s"
    expect "logins go on" {
      that     = sli.logins.error_ratio < 0.05
      required = true
    }
    expect "jobs are answered at once, taken or not" { that = sli.jobs.p95 < seconds("500ms") }
  }

  alarm "JobsLate" {
    source        = alarms.builtin.main
    cause         = fault.hang
    fires_within  = "8s"
    pages_via     = responders.desk.ops
    pages_within  = "9s"
    clears_within = "9s"
    required      = true
  }
  noise { watch = { severity = "page" } }

  response "on-call" {
    source = responders.desk.ops
    to     = alarm.JobsLate
    acknowledge { within = "5s" }
  }

  score { pass = 80 }
}

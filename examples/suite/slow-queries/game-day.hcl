# One table of a PostgreSQL is locked, as a migration does; every query on it waits, and holds the connection that it has.
#
#   make suite
#   gameday run examples/suite/slow-queries/game-day.hcl
#   gameday run -var world=bad examples/suite/slow-queries/game-day.hcl

variable "world" {
  type        = string
  default     = "good"
  description = "good, or bad: with the flaw that this game day is meant to find"
}

locals {
  # The flaw: reports share their connections with orders, and nothing ends a query or a wait. 0 is no limit.
  reports           = { good = "2", bad = "0" }[var.world] # connections of their own, of the ten
  statement_timeout = { good = "400ms", bad = "0" }[var.world]
  wait              = { good = "200ms", bad = "0" }[var.world]
}

lab "sales" {
  node "database" {
    process "postgres" {
      command      = ["../../../bin/suite", "postgres", "-schema", "sales"]
      listen       = 5432
      ready_within = "60s"
    }
  }
  node "sales" {
    process "sales" {
      command = ["../../../bin/suite", "sales", "-listen", ":9121", "-database", "database:5432", "-connections", "10",
      "-reports", local.reports, "-statement-timeout", local.statement_timeout, "-wait", local.wait]
      listen       = 9121
      ready_within = "90s" # it waits for the database
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
  rule "ReportsFailing" {
    when   = sli.reports.error_ratio > 0.30
    over   = "2s"
    held   = "1s"
    keep   = "1s"
    labels = { severity = "page", team = "reports" }
    annotations = {
      summary     = "Reports fail."
      runbook_url = "https://runbooks.example/reports-failing"
    }
  }
  rule "OrdersFailing" { # the bad world's: locked sales are no business of orders
    when   = sli.orders.error_ratio > 0.20
    over   = "2s"
    held   = "1s"
    keep   = "1s"
    labels = { severity = "page", team = "orders" }
    annotations = {
      summary     = "Orders cannot be shown."
      runbook_url = "https://runbooks.example/orders-failing"
    }
  }
}

scenario "slow-queries" {
  summary = "When reports hang in the database, they fail fast, and orders go on."
  owner   = "team-orders"

  timeline {
    baseline = "4s"
    load     = "18s"
    recovery = "8s"
  }

  traffic "orders" {
    base     = "http://sales:9121"
    timeout  = "1.5s"
    multiple = 1
    baseline { rate = 20 }
    data "orders" {
      rows = [for n in range(1, 101) : { number = n }]
    }
    request "order" { url = "/orders/${data.orders.number}" }
  }
  traffic "reports" {
    base     = "http://sales:9121"
    timeout  = "1.5s"
    multiple = 1
    baseline { rate = 6 }
    data "days" {
      rows = [for n in range(0, 30) : { day = n }]
    }
    request "report" { url = "/reports/${data.days.day}" }
  }

  steady_state {
    expect "orders" {
      that = sli.orders.error_ratio < 0.02 && sli.orders.p95 < seconds("500ms")
      over = "2s"
    }
    expect "reports" {
      that = sli.reports.error_ratio < 0.02 && sli.reports.p95 < seconds("500ms")
      over = "2s"
    }
  }

  target "database" {
    node { name = "database" }
  }
  fault "command" "lock" {
    target = target.database
    inject = ["sh", "-c", <<-EOT
      export PGAPPNAME="$GAMEDAY_INJECTION"
      psql -X -h 127.0.0.1 -U shop -qc 'begin; lock table sales in access exclusive mode; select pg_sleep(120)' postgres >/dev/null 2>&1 </dev/null &
    EOT
    ]
    effect = ["sh", "-c", <<-EOT
      n=$(psql -X -h 127.0.0.1 -U shop -tAc "select count(*) from pg_locks join pg_stat_activity using (pid)
        where mode = 'AccessExclusiveLock' and granted and relation = 'sales'::regclass
        and application_name = left('$GAMEDAY_INJECTION', 63)" postgres)
      test "$n" = 1 && echo "the table sales is locked by a session of ours"
    EOT
    ]
    revert = ["sh", "-c", <<-EOT
      psql -X -h 127.0.0.1 -U shop -qtAc "select pg_terminate_backend(pid, 3000) from pg_stat_activity
        where application_name = left('$GAMEDAY_INJECTION', 63)" postgres
    EOT
    ]
    at            = "3s"
    duration      = "10s"
    steady_within = "6s"
    expect "orders go on" {
      that     = sli.orders.error_ratio < 0.02 && sli.orders.p95 < seconds("500ms")
      required = true
    }
    expect "reports fail fast" { that = sli.reports.p95 < seconds("1.2s") }
  }

  alarm "ReportsFailing" {
    source        = alarms.builtin.main
    cause         = fault.lock
    fires_within  = "9s"
    pages_via     = responders.desk.ops
    pages_within  = "10s"
    clears_within = "9s"
    required      = true
  }
  noise { watch = { severity = "page" } }

  response "on-call" {
    source = responders.desk.ops
    to     = alarm.ReportsFailing
    acknowledge { within = "5s" }
  }

  score { pass = 80 }
}

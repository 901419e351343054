# Something fills the disk of an archive for a few seconds. The archive locks itself against writing; who unlocks it?
#
#   make suite
#   gameday run examples/suite/disk-full/game-day.hcl
#   gameday run -var world=bad examples/suite/disk-full/game-day.hcl

variable "world" {
  type        = string
  default     = "good"
  description = "good, or bad: with the flaw that this game day is meant to find"
}

locals {
  # The flaw: an archive that has locked itself stays locked until an operator unlocks it.
  unlock = { good = "itself", bad = "operator" }[var.world]
}

lab "archive" {
  node "archive" {
    process "archive" { # on a disk of 24 MiB that is the node's own, in memory
      command = ["../../../bin/suite", "archive", "-listen", ":9151", "-dir", "/run/archive", "-disk", "24", "-unlock", local.unlock]
      listen  = 9151
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
  rule "UploadsFailing" {
    when   = sli.uploads.error_ratio > 0.20
    over   = "2s"
    held   = "1s"
    keep   = "1s"
    labels = { severity = "page", team = "archive" }
    annotations = {
      summary     = "More than one upload in five fails."
      runbook_url = "https://runbooks.example/uploads-failing"
    }
  }
}

# What is worth a ticket wakes nobody.
alarms "builtin" "tickets" {
  rule "DiskNearlyFull" {
    when   = sli.disk.error_ratio > 0.3
    over   = "2s"
    held   = "1s"
    keep   = "1s"
    labels = { severity = "ticket", team = "storage" }
    annotations = {
      summary     = "Less than a tenth of the archive's disk is free."
      runbook_url = "https://runbooks.example/disk-nearly-full"
    }
  }
}

scenario "disk-full" {
  summary = "While the disk is full documents can be read, and when it is not any more they can be uploaded again."
  owner   = "team-archive"

  timeline {
    baseline = "4s"
    load     = "16s"
    recovery = "7s"
  }

  traffic "uploads" {
    base     = "http://archive:9151"
    timeout  = "2s"
    multiple = 1
    baseline { rate = 12 }
    request "upload" {
      method = "POST"
      url    = "/documents"
      expect { status = [201] }
    }
  }
  traffic "readers" {
    base     = "http://archive:9151"
    timeout  = "2s"
    multiple = 1
    baseline { rate = 12 }
    request "read" {
      url = "/documents/newest"
      expect { json = { bytes = 32768 } }
    }
  }
  # Not a user: it looks at the disk, and fails while less than a tenth is free.
  traffic "disk" {
    base     = "http://archive:9151"
    timeout  = "2s"
    multiple = 1
    baseline { rate = 4 }
    request "space" {
      url = "/disk"
      expect { json = { low = false } }
    }
  }

  steady_state {
    expect "uploads work" {
      that = sli.uploads.error_ratio < 0.02
      over = "2s"
    }
    expect "reading works" {
      that = sli.readers.error_ratio < 0.02 && sli.readers.p95 < seconds("500ms")
      over = "2s"
    }
  }

  target "archive" {
    node { name = "archive" }
  }
  fault "disk_fill" "full" {
    target        = target.archive
    path          = "/run/archive"
    leave         = "1.6MB"
    reserve       = "1MB"
    at            = "2s"
    duration      = "7s"
    steady_within = "4s"
    expect "reading goes on" { that = sli.readers.error_ratio < 0.02 && sli.readers.p95 < seconds("500ms") }
    expect "uploads are refused at once" { that = sli.uploads.p95 < seconds("500ms") }
  }

  alarm "DiskNearlyFull" {
    source        = alarms.builtin.tickets
    cause         = fault.full
    fires_within  = "8s"
    clears_within = "9s"
  }
  alarm "UploadsFailing" {
    source        = alarms.builtin.main
    cause         = fault.full
    fires_within  = "7s"
    pages_via     = responders.desk.ops
    pages_within  = "8s"
    clears_within = "9s"
    required      = true
  }
  noise { watch = { severity = "page" } }

  response "on-call" {
    source = responders.desk.ops
    to     = alarm.UploadsFailing
    acknowledge { within = "5s" }
    resolve {
      within        = "14s"
      after_service = true
    }
  }

  score { pass = 80 }
}

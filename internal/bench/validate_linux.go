package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	validateFiles   = 1000
	validateScripts = 10
	validateLimit   = 2.0 // seconds
)

// validate measures the wall time of one call over a folder of scenarios.
func (b *bench) validate(ctx context.Context) ([]row, error) {
	dir := filepath.Join(b.dir, "scenarios")
	lines, err := writeScenarios(dir)
	if err != nil {
		return nil, err
	}
	var wall, cpu spread
	for range b.rounds {
		k, err := b.measure(ctx, b.command("validate", dir))
		if err != nil {
			return nil, err
		}
		if k.code != 0 || k.output != "" {
			return nil, fmt.Errorf("exit code %d: %s", k.code, k.output)
		}
		wall, cpu = append(wall, k.wall.Seconds()), append(cpu, k.cpu.Seconds())
	}
	b.say("%d files of %d lines, %d scripts", validateFiles, lines, validateScripts)
	return []row{
		{"wall time, s", wall.text(2), fmt.Sprintf("< %g", validateLimit), met(wall.median(), validateLimit)},
		{what: "processor time, s", figure: cpu.text(2)},
	}, nil
}

// writeScenarios fills a folder and returns the lines of one file.
func writeScenarios(dir string) (int, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	for i := range validateScripts {
		text := fmt.Sprintf(overheadScript, 100+i, 10, "127.0.0.1:8080")
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("visit-%d.js", i)), []byte(text), 0o600); err != nil {
			return 0, err
		}
	}
	lines := 0
	for i := range validateFiles {
		text := strings.NewReplacer("NAME", fmt.Sprintf("checkout-%04d", i), "SCRIPT", fmt.Sprintf("visit-%d.js",
			i%validateScripts)).Replace(fullScenario)
		lines = strings.Count(text, "\n")
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("day-%04d.hcl", i)), []byte(text), 0o600); err != nil {
			return 0, err
		}
	}
	return lines, nil
}

// fullScenario has a block of nearly every type.
const fullScenario = `variable "multiple" {
  type    = number
  default = 3
}
locals {
  limit = seconds("300ms")
}

alarms "prometheus" "main" {
  url = "http://127.0.0.1:9090"
}
responders "desk" "ops" {
  level {
    people         = ["ann"]
    escalate_after = "10m"
  }
  level {
    people = ["bob"]
  }
}

scenario "NAME" {
  summary = "The shop keeps selling while payments is down, and on-call hears of it within a minute."
  owner   = "team-checkout"
  timeline {
    baseline = "30s"
    ramp     = "10s"
    load     = "3m"
    recovery = "60s"
  }
  traffic "shoppers" {
    script   = "SCRIPT"
    multiple = var.multiple
    baseline { rate = 40 }
  }
  steady_state {
    expect "availability" { that = sli.error_ratio < 0.01 }
    expect "latency" { that = sli.p95 < local.limit }
  }
  capacity {
    expect "holds the peak" { that = sli.p95 < seconds("500ms") && sli.error_ratio < 0.01 }
  }
  target "payments" {
    process { listen = 9102 }
  }
  target "ledger" {
    process { command = "shop ledger" }
  }
  fault "process_kill" "crash" {
    target          = target.payments
    at              = "20s"
    restarts_within = "15s"
    expect "browsing goes on" { that = sli.shoppers.error_ratio < 0.30 }
  }
  fault "process_kill" "again" {
    target          = target.ledger
    after           = fault.crash
    wait            = "20s"
    restarts_within = "15s"
  }
  alarm "PaymentsDown" {
    source        = alarms.prometheus.main
    match         = { alertname = "PaymentsDown", severity = "page" }
    cause         = fault.crash
    fires_within  = "30s"
    clears_within = "2m"
    required      = true
  }
  noise {
    watch = { severity = "page" }
    allow = ["Watchdog"]
  }
  response "on-call" {
    source = responders.desk.ops
    to     = alarm.PaymentsDown
    acknowledge { within = "5m" }
    mark "bridge opened" { within = "10m" }
  }
  abort "error storm" {
    when = sli.error_ratio > 0.60
    held = "10s"
  }
  score { pass = 80 }
}
`

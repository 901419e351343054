package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gameday/loadgen/baseline"
)

// BaselinePlan is what a stream's 1x was measured to be, or why it was not.
type BaselinePlan struct {
	Kind   string `json:"kind"`            // "prometheus", "run", "access_log"
	Source string `json:"source"`          // "prometheus.main", "runs/20261120-140212-checkout", "/var/log/nginx/access.log"
	Query  string `json:"query,omitempty"` // of prometheus
	// At is when it was measured: before a run that begins inside a lab, and before the first of those that are compared.
	At time.Time `json:"at"`
	// Measured is in requests per second, of which an iteration makes PerIteration; a run's is in iterations, and then that is 1.
	PerIteration float64            `json:"requests_per_iteration"`
	Measured     *baseline.Measured `json:"measured,omitempty"`
	Error        string             `json:"error,omitempty"` // instead of Measured
}

// Rate returns 1x in iterations per second, with four digits, as it is shown; 0 when it is not known.
func (b *BaselinePlan) Rate() float64 {
	if b.Measured == nil {
		return 0
	}
	rate, _ := strconv.ParseFloat(strconv.FormatFloat(b.Measured.Rate/b.PerIteration, 'e', 3, 64), 64) // what was written can be read
	return rate
}

// Words says what was measured, with its uncertainty, and what it stands on.
func (b *BaselinePlan) Words() string {
	m := b.Measured
	if m == nil {
		return "unknown: " + b.Error
	}
	level := fmt.Sprintf("(%.0f %%)", 100*baseline.Confidence)
	words := fmt.Sprintf("%s/s, between %s and %s %s", number(b.Rate()), number(m.Low/b.PerIteration), number(m.High/b.PerIteration), level)
	if m.High == 0 {
		words = fmt.Sprintf("%s/s, %s or more %s", number(b.Rate()), number(m.Low/b.PerIteration), level)
	}
	if b.PerIteration != 1 {
		words += fmt.Sprintf(": %s requests/s at %s an iteration", number(m.Rate), number(b.PerIteration))
	}
	words += fmt.Sprintf("; the %s of %d samples of %s", m.Statistic, m.Samples, baseline.Span(m.Each))
	if m.Worth < m.Samples*9/10 {
		words += fmt.Sprintf(" (worth %d independent ones)", m.Worth)
	}
	return fmt.Sprintf("%s, %s, %s old", words, m.Chosen, b.age())
}

// age returns how old the data is: its newest end, or both when they are far apart.
func (b *BaselinePlan) age() string {
	rough := func(d time.Duration) string {
		switch d = max(0, d); {
		case d >= 48*time.Hour:
			d = d.Truncate(24 * time.Hour)
		case d >= 2*time.Hour:
			d = d.Truncate(time.Hour)
		case d >= 2*time.Minute:
			d = d.Truncate(time.Minute)
		default:
			d = d.Truncate(time.Second)
		}
		return baseline.Span(d)
	}
	newest, oldest := rough(b.At.Sub(b.Measured.To)), rough(b.At.Sub(b.Measured.From))
	if newest == oldest {
		return newest
	}
	return newest + " to " + oldest
}

// doubts are the notes on what was measured, to be put behind it.
func (b *BaselinePlan) doubts() string {
	if b.Measured == nil || len(b.Measured.Notes) == 0 {
		return ""
	}
	return "; note: " + strings.Join(b.Measured.Notes, "; note: ")
}

// Origin says where it comes from.
func (b *BaselinePlan) Origin() string {
	switch b.Kind {
	case "prometheus":
		return b.Source + ": " + b.Query
	case "run":
		return "run " + b.Source
	default:
		return strings.ReplaceAll(b.Kind, "_", " ") + " " + b.Source
	}
}

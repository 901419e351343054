package main

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// buckets are the upper bounds of the duration histogram, in seconds. They are closest around the 300 ms timeout and
// its double, where this shop's trouble shows.
var buckets = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1, 2.5}

// metrics counts and times requests and serves both in Prometheus' text format. It is safe for concurrent use.
type metrics struct {
	service string

	mu        sync.Mutex
	requests  map[outcome]uint64
	durations map[string]*durations
	gauges    []gauge
}

// outcome is one series of the request counter.
type outcome struct {
	path string
	code int
}

// durations is the histogram of one path. counts[i] holds those in (buckets[i-1], buckets[i]]; the last one the rest.
type durations struct {
	counts []uint64
	sum    float64 // seconds
	total  uint64
}

// gauge is a number read when somebody asks.
type gauge struct {
	name, help string
	labels     []label
	read       func() float64
}

// label is one name and its value.
type label struct{ name, value string }

func newMetrics(service string) *metrics {
	return &metrics{service: service, requests: map[outcome]uint64{}, durations: map[string]*durations{}}
}

// gauge adds a number that read returns; read is called without the lock and must be safe for concurrent use.
func (m *metrics) gauge(name, help string, labels []label, read func() float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gauges = append(m.gauges, gauge{name: name, help: help, labels: labels, read: read})
}

// observe counts one request.
func (m *metrics) observe(path string, code int, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests[outcome{path, code}]++
	d := m.durations[path]
	if d == nil {
		d = &durations{counts: make([]uint64, len(buckets)+1)}
		m.durations[path] = d
	}
	i, _ := slices.BinarySearch(buckets, took.Seconds())
	d.counts[i]++
	d.sum += took.Seconds()
	d.total++
}

// ServeHTTP writes everything in Prometheus' text format, series in a fixed order.
func (m *metrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	m.write(&b)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

func (m *metrics) write(b *bytes.Buffer) {
	m.mu.Lock()
	gauges := slices.Clone(m.gauges)
	m.writeRequests(b)
	m.writeDurations(b)
	m.mu.Unlock()

	slices.SortStableFunc(gauges, func(a, b gauge) int { return cmp.Compare(a.name, b.name) })
	last := ""
	for _, g := range gauges {
		if g.name != last {
			head(b, g.name, "gauge", g.help)
			last = g.name
		}
		m.series(b, g.name, g.read(), g.labels...)
	}
}

func (m *metrics) writeRequests(b *bytes.Buffer) {
	head(b, "http_requests_total", "counter", "Requests answered, by path and status code.")
	keys := make([]outcome, 0, len(m.requests))
	for k := range m.requests {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b outcome) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.code, b.code))
	})
	for _, k := range keys {
		m.series(b, "http_requests_total", float64(m.requests[k]),
			label{"path", k.path}, label{"code", strconv.Itoa(k.code)})
	}
}

func (m *metrics) writeDurations(b *bytes.Buffer) {
	const name = "http_request_duration_seconds"
	head(b, name, "histogram", "Time to answer a request, by path.")
	paths := make([]string, 0, len(m.durations))
	for p := range m.durations {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		d := m.durations[p]
		path := label{"path", p}
		below := uint64(0)
		for i, upper := range buckets {
			below += d.counts[i]
			m.series(b, name+"_bucket", float64(below), path, label{"le", number(upper)})
		}
		m.series(b, name+"_bucket", float64(d.total), path, label{"le", "+Inf"})
		m.series(b, name+"_sum", d.sum, path)
		m.series(b, name+"_count", float64(d.total), path)
	}
}

// head writes the two comment lines of a metric.
func head(b *bytes.Buffer, name, kind, help string) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// series writes one sample, with the service's name as its first label.
func (m *metrics) series(b *bytes.Buffer, name string, value float64, labels ...label) {
	fmt.Fprintf(b, "%s{service=\"%s\"", name, escape.Replace(m.service))
	for _, l := range labels {
		fmt.Fprintf(b, ",%s=\"%s\"", l.name, escape.Replace(l.value))
	}
	fmt.Fprintf(b, "} %s\n", number(value))
}

// escape does what the text format asks of label values.
var escape = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

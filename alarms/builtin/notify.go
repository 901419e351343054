package builtin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"gameday/alarms"
	"gameday/clock"
)

// The two statuses of a webhook.
const (
	firing   = "firing"
	resolved = "resolved"
)

const (
	queueLimit  = 256                    // messages waiting for one address; the oldest gives way
	firstPause  = 200 * time.Millisecond // before the second try; doubled each time
	longestWait = 10 * time.Second       // between two tries
	giveUpAfter = 2 * time.Minute        // after the first try of a message
	postTimeout = 5 * time.Second
)

// message is one webhook about one alarm.
type message struct {
	key    string
	labels map[string]string
	status string
	body   []byte
}

// webhook is the body of an Alertmanager webhook, version 4.
type webhook struct {
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   int               `json:"truncatedAlerts"`
	Status            string            `json:"status"`
	Receiver          string            `json:"receiver"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Alerts            []webhookAlert    `json:"alerts"`
}

// webhookAlert is one alarm of a webhook.
type webhookAlert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"` // the zero time while it fires
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

// compose writes the webhook about a rule. Every alarm is a group of its own.
func compose(c Config, st *state, status string, now time.Time) message {
	notes := maps.Clone(st.rule.Annotations)
	if notes == nil {
		notes = map[string]string{}
	}
	if c.Drill != "" {
		notes["drill"] = c.Drill
		notes["summary"] = strings.TrimSpace("[drill] " + notes["summary"])
	}
	a := webhookAlert{Status: status, Labels: st.labels, Annotations: notes, StartsAt: st.started,
		Fingerprint: fingerprint(st.labels)}
	if status == resolved {
		a.EndsAt = now
	}
	w := webhook{
		Version: "4", Status: status, Receiver: c.Receiver, ExternalURL: c.ExternalURL,
		GroupKey:    fmt.Sprintf("{}:{%s=%q}", alertName, st.rule.Name),
		GroupLabels: map[string]string{alertName: st.rule.Name}, CommonLabels: st.labels, CommonAnnotations: notes,
		Alerts: []webhookAlert{a},
	}
	body, err := json.Marshal(w)
	if err != nil {
		// Only a time outside the years 0 to 9999 can do this; the receiver then gets what it can use least wrongly.
		body = []byte(`{"version":"4","alerts":[]}`)
	}
	return message{key: st.key, labels: st.labels, status: status, body: body}
}

// fingerprint is the 64-bit FNV-1a hash of the labels in order, in hexadecimal: the same for the same labels.
func fingerprint(labels map[string]string) string {
	h := fnv.New64a()
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		// A byte that no UTF-8 text has separates the parts.
		h.Write([]byte(name + "\xff" + labels[name] + "\xff"))
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// sender posts messages to one address, one after the other, so that "resolved" never overtakes "firing".
type sender struct {
	address string
	observe func(alarms.Observation)
	post    func(ctx context.Context, address string, body []byte) error
	wake    chan struct{}

	mu      sync.Mutex
	waiting []message
	failing bool
}

// newSender returns a sender that reports what becomes of messages.
func newSender(address string, observe func(alarms.Observation)) *sender {
	return &sender{address: address, observe: observe, post: post, wake: make(chan struct{}, 1)}
}

// put queues a message and never waits.
func (s *sender) put(m message) {
	s.mu.Lock()
	full := len(s.waiting) == queueLimit
	if full {
		s.waiting = s.waiting[1:]
	}
	s.waiting = append(s.waiting, m)
	s.mu.Unlock()
	if full {
		s.report(alarms.StateBroken, "too many notifications are waiting: the oldest was dropped", clock.At(time.Now()))
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// work sends what is queued until ctx ends.
func (s *sender) work(ctx context.Context) {
	for {
		s.mu.Lock()
		var next *message
		if len(s.waiting) > 0 {
			m := s.waiting[0]
			next, s.waiting = &m, s.waiting[1:]
		}
		s.mu.Unlock()
		if next == nil {
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
			}
			continue
		}
		if s.deliver(ctx, *next); ctx.Err() != nil {
			return
		}
	}
}

// deliver tries a message until it is taken or it is too late for it.
func (s *sender) deliver(ctx context.Context, m message) {
	begun := time.Now()
	for pause := firstPause; ; pause = min(2*pause, longestWait) {
		sent := time.Now()
		err := s.post(ctx, s.address, m.body)
		done := time.Now()
		if err == nil {
			s.recovered(done)
			if m.status == firing {
				s.observe(alarms.Observation{At: clock.Between(sent, done), Key: m.key, Labels: m.labels,
					State: alarms.StatePaged, Why: "webhook taken by " + s.host()})
			}
			return
		}
		if ctx.Err() != nil {
			return
		}
		late := done.Add(pause).Sub(begun) > giveUpAfter
		why := fmt.Sprintf("notifying %s: %v", s.host(), err)
		if late {
			why += "; given up"
		}
		s.failed(why, late, done)
		if late {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// failed reports the first failure in a row, and every message given up.
func (s *sender) failed(why string, always bool, at time.Time) {
	s.mu.Lock()
	say := always || !s.failing
	s.failing = true
	s.mu.Unlock()
	if say {
		s.report(alarms.StateBroken, why, clock.At(at))
	}
}

// recovered reports that the address takes messages again.
func (s *sender) recovered(at time.Time) {
	s.mu.Lock()
	was := s.failing
	s.failing = false
	s.mu.Unlock()
	if was {
		s.report(alarms.StateReachable, "notifications reach "+s.host()+" again", clock.At(at))
	}
}

// report emits an observation of the source itself.
func (s *sender) report(state alarms.State, why string, at clock.Interval) {
	s.observe(alarms.Observation{At: at, State: state, Why: why})
}

// host names the address without its path, query and credentials: webhook addresses often are secrets themselves.
func (s *sender) host() string {
	u, err := url.Parse(s.address)
	if err != nil {
		return "the webhook"
	}
	return u.Scheme + "://" + u.Host
}

// client has no proxy settings of its own and does not follow redirects: a POST that becomes a GET notifies nobody.
var client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// post sends one webhook.
func post(ctx context.Context, address string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address is not valid")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "gameday")
	response, err := client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return err
	}
	defer response.Body.Close()
	// A read to the end lets the connection be used again; what does not end soon is not worth it.
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	if response.StatusCode/100 != 2 {
		return errors.New(response.Status)
	}
	return nil
}

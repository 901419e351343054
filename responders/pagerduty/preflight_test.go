package pagerduty

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/responders"
)

// blocked reports whether a finding that blocks says something.
func blocked(found []responders.Finding, what string) bool {
	return slices.ContainsFunc(found, func(f responders.Finding) bool { return f.Blocks && strings.Contains(f.Summary+f.Detail, what) })
}

func TestPreflight(t *testing.T) {
	for name, c := range map[string]struct {
		config func(*Config)
		change func(*fake)
		blocks string // empty when nothing does
	}{
		"all is well":         {nil, nil, ""},
		"a wrong token":       {func(c *Config) { c.Token = "another" }, nil, "must be a REST API key"},
		"a wrong service":     {func(c *Config) { c.Services = []string{"PNONE"} }, nil, "is not known"},
		"a wrong team":        {func(c *Config) { c.Teams = []string{"PNONE"} }, nil, "is not known"},
		"a team":              {func(c *Config) { c.Teams, c.Services, c.Policy = []string{"PTEAM1"}, nil, pol }, nil, ""},
		"a wrong policy":      {func(c *Config) { c.Policy = "PNONE" }, nil, "is not known"},
		"disabled":            {nil, func(f *fake) { f.status = "disabled" }, "is disabled"},
		"in maintenance":      {nil, func(f *fake) { f.status = "maintenance" }, "is in maintenance"},
		"nobody at level 1":   {nil, func(f *fake) { f.oncalls = f.oncalls[1:] }, "nobody is on call at level 1"},
		"an open incident":    {nil, func(f *fake) { f.open("PI1", f.now().Add(-90*24*time.Hour), nil) }, "has 1 open already"},
		"a resolved one":      {nil, func(f *fake) { f.open("PI1", f.now(), nil).by("resolve_log_entry", f.now(), ann, "sms") }, ""},
		"listening to no one": {func(c *Config) { c.Webhook = &Webhook{Listen: "192.0.2.1:1", Secret: "s"} }, nil, "cannot take webhooks"},
		"half a JSON":         {nil, func(f *fake) { f.only, f.body = "/oncalls", `{"oncalls":[` }, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := newFake(t, func(x *Config) {
				if c.config != nil {
					c.config(x)
				}
			})
			if c.change != nil {
				c.change(f)
			}
			found, err := s.Preflight(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			some := slices.ContainsFunc(found, func(f responders.Finding) bool { return f.Blocks })
			if c.blocks == "" && some || c.blocks != "" && !blocked(found, c.blocks) {
				t.Errorf("%+v, want %q", found, c.blocks)
			}
			if text := fmt.Sprint(found); !strings.Contains(text, "dry") || strings.Contains(text, token) {
				t.Errorf("%s", text)
			}
		})
	}
}

// TestPreflightTells says beforehand what PagerDuty does by itself, who is on call, and whom it wakes.
func TestPreflightTells(t *testing.T) {
	_, s := newFake(t, func(c *Config) { c.Pages = "real" })
	found, err := s.Preflight(t.Context())
	if err != nil || !s.RealPages() {
		t.Fatal(err)
	}
	text := fmt.Sprint(found)
	for _, want := range []string{"will be woken", "runs out after: 30m0s", "resolved after: 4h0m0s", "level 1: 1 on call, has it for 5m0s", "level 2: 1 on call", "repeated 1 times"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
}

func TestOnCall(t *testing.T) {
	f, s := newFake(t)
	f.perPage = 1
	forever := turn(1, ann)
	forever["end"] = nil
	f.oncalls = append(f.oncalls, forever)
	f.undescribed("")
	turns, err := s.OnCall(t.Context())
	want := []responders.Duty{{Who: ann, Level: 1, Team: pol}, {Who: bob, Level: 2, Team: pol, Until: "2027-01-01T00:00:00Z"}}
	if err != nil || !slices.Equal(turns, want) {
		t.Errorf("%+v, %v", turns, err)
	}
	f.forbidden = "/oncalls"
	if _, err := s.OnCall(t.Context()); err == nil {
		t.Error("nobody is on call, for all that it may not be asked")
	}
	_, s = newFake(t, func(c *Config) { c.Services, c.Teams = nil, []string{"PTEAM1"} })
	if found, err := s.Preflight(t.Context()); err != nil || !strings.Contains(fmt.Sprint(found), "who is on call for pagerduty.ops is not known") {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := s.OnCall(t.Context()); err == nil || !strings.Contains(err.Error(), "give escalation_policy") {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	good := Config{Token: token, Services: []string{svc}, Pages: "real"}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Config){
		"Nothing to read":       func(c *Config) { c.Services = nil },
		"Not an id":             func(c *Config) { c.Services = []string{"Checkout service"} },
		"is no id":              func(c *Config) { c.Policy = "../users" },
		"Real pages, or not":    func(c *Config) { c.Pages = "" },
		"neither":               func(c *Config) { c.Pages = "yes" },
		"Invalid address":       func(c *Config) { c.URL = "api.pagerduty.com" },
		"Write a host":          func(c *Config) { c.Webhook = &Webhook{Listen: "here"} },
		"Invalid duration":      func(c *Config) { c.Settle = "soon" },
		"asked in a minute":     func(c *Config) { c.PerMinute = -1 },
		"Empty path":            func(c *Config) { c.Labels = map[string]string{"alertname": ""} },
		"It holds a line break": func(c *Config) { c.Token = "a\nb" },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(fmt.Sprintf("%v", err), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	c := good
	c.Webhook = &Webhook{Listen: "127.0.0.1:0", Secret: "hush-hush"}
	if text := fmt.Sprintf("%v %+v %#v %v", c, c, c, *c.Webhook); strings.Contains(text, token) || strings.Contains(text, "hush") {
		t.Error(text)
	}
}

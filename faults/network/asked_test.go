package network

import (
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"gameday/faults"
)

// TestAsked says for each kind what it asks for, with its defaults.
func TestAsked(t *testing.T) {
	ten := netip.MustParsePrefix("10.0.0.0/8")
	for name, c := range map[string]struct {
		config faults.Config
		want   Asked
	}{
		"partition": {&Partition{To: []string{"10.1.2.3/8", "db.example.com"}, Ports: []int{443, 80}},
			Asked{Blocks: []netip.Prefix{ten}, Hosts: []string{"db.example.com"}, Ports: []int{443, 80}, In: true, Out: true}},
		"partition in":    {&Partition{Direction: "in", Action: "reject"}, Asked{In: true, Reject: true}},
		"partition out":   {&Partition{Direction: "out"}, Asked{Out: true}},
		"delay":           {&Delay{}, Asked{Out: true, Delay: 100 * time.Millisecond}},
		"delay, normal":   {&Delay{Delay: "1s", Jitter: "10ms"}, Asked{Out: true, Delay: time.Second, Jitter: 10 * time.Millisecond, Shape: "normal"}},
		"delay, uniform":  {&Delay{Delay: "1s", Jitter: "10ms", Distribution: "uniform", Correlation: 25}, Asked{Out: true, Delay: time.Second, Jitter: 10 * time.Millisecond, DelayCorrelation: 25}},
		"loss":            {&Loss{Correlation: 5}, Asked{Out: true, Loss: 10, LossCorrelation: 5}},
		"duplicate":       {&Duplicate{Percent: percent(50)}, Asked{Out: true, Duplicate: 50}},
		"corrupt":         {&Corrupt{}, Asked{Out: true, Corrupt: 1}},
		"reorder":         {&Reorder{}, Asked{Out: true, Reorder: 25, Gap: 1, Delay: 10 * time.Millisecond}},
		"rate":            {&Rate{}, Asked{Out: true, Rate: 1_000_000, Burst: 1 << 16, Queue: 4 << 16}},
		"rate with burst": {&Rate{Rate: "1gbit", Burst: "1mb"}, Asked{Out: true, Rate: 1_000_000_000, Burst: 1 << 20, Queue: 25_000_000}},
	} {
		t.Run(name, func(t *testing.T) {
			got, ours, err := AskedOf(c.config)
			if !ours || err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("AskedOf(%+v) = %+v, %v, %v; want %+v", c.config, got, ours, err, c.want)
			}
		})
	}
}

// TestAskedOfOthers holds AskedOf to saying what is not its own, and what is wrong.
func TestAskedOfOthers(t *testing.T) {
	if _, ours, err := AskedOf(nil); ours || err != nil {
		t.Errorf("nil: %v, %v", ours, err)
	}
	for _, wrong := range []faults.Config{&Partition{Direction: "sideways"}, &Delay{Delay: "soon"}, &Loss{Ports: []int{0}}} {
		_, ours, err := AskedOf(wrong)
		var field *faults.FieldError
		if !ours || !errors.As(err, &field) {
			t.Errorf("%+v: %v, %v", wrong, ours, err)
		}
	}
}

package network

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"gameday/faults"
)

// shaping is what befalls the selected packets: that of a netem qdisc, or a rate.
type shaping struct {
	netem netem
	rate  uint64 // bytes per second; 0 means netem
	burst uint64 // bytes
	// words are what was asked for, "delay 100ms", and details the same for the evidence.
	words   string
	details map[string]string
}

// shaper is the configuration of a kind that shapes what a place sends.
type shaper interface {
	faults.Config
	selector() selector
	shaping() (shaping, error)
}

// shapeKind returns a kind that shapes what a place sends.
func shapeKind(name, summary string, make func() faults.Config) faults.Kind {
	return faults.Kind{
		Name:       name,
		Summary:    summary,
		Needs:      faults.NeedNetwork,
		Between:    true,
		Undoing:    "kernel lease, undone by guard",
		Reversible: true,
		New:        make,
		Revert:     revertShape,
	}
}

// validateShape reports every wrong parameter of a kind.
func validateShape(c shaper, direction string) error {
	_, err := c.shaping()
	return errors.Join(onlyOut(direction), c.selector().validate(), err)
}

// onlyOut refuses any other direction: what a kernel can hold back is what it sends.
func onlyOut(direction string) error {
	if direction == "" || direction == out {
		return nil
	}
	return &faults.FieldError{Field: "direction", Summary: "Invalid direction",
		Detail: fmt.Sprintf("%q is not possible: a place's kernel shapes what the place sends, so the direction is \"out\". "+
			"For the other way, put the fault on the sender.", direction)}
}

// bindShape computes what is shaped at a place.
func bindShape(c shaper, place faults.Place) (faults.Injection, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s, err := c.selector().bind(place)
	if err != nil {
		return nil, err
	}
	what, err := c.shaping()
	if err != nil {
		return nil, err
	}
	return newShape(s, what)
}

// previewShape returns "198.18.0.4, delay 100ms".
func previewShape(c shaper, place faults.Place) string {
	names, ok := c.selector().preview(place)
	if !ok {
		return "nothing to shape"
	}
	what, err := c.shaping()
	if err != nil {
		return names
	}
	return names + ", " + what.words
}

// readDelay reads a duration from least to longest; it returns fallback for the empty string.
func readDelay(field, text string, fallback, least, longest time.Duration) (time.Duration, error) {
	if text == "" {
		return fallback, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, &faults.FieldError{Field: field, Summary: "Invalid duration",
			Detail: fmt.Sprintf("%q is not a duration. Write a number and a unit, such as \"100ms\" or \"1.5s\".", text)}
	}
	if d < least || d > longest {
		return 0, &faults.FieldError{Field: field, Summary: "Duration out of range",
			Detail: fmt.Sprintf("%s can be %v to %v, not %v.", field, least, longest, d)}
	}
	return d, nil
}

// readPercent reads a share of packets, which must be more than none; nil means fallback.
func readPercent(value *float64, fallback float64) (float64, error) {
	if value == nil {
		return fallback, nil
	}
	if !(*value >= minPercent && *value <= 100) {
		return 0, &faults.FieldError{Field: "percent", Summary: "Percentage out of range",
			Detail: fmt.Sprintf("percent is a share of the packets from %v to 100, not %v.", minPercent, *value)}
	}
	return *value, nil
}

// minPercent is the smallest share that is asked for: one packet in a million.
const minPercent = 0.0001

// readCorrelation checks how much one packet's fate depends on that of the one before, in percent.
func readCorrelation(value float64) error {
	if value >= 0 && value <= 100 {
		return nil
	}
	return &faults.FieldError{Field: "correlation", Summary: "Percentage out of range",
		Detail: fmt.Sprintf("correlation is a percentage from 0 to 100, not %v.", value)}
}

// percentWords returns "10%", and with a correlation "10%, correlation 25%".
func percentWords(percent, correlation float64) string {
	text := number(percent) + "%"
	if correlation > 0 {
		text += ", correlation " + number(correlation) + "%"
	}
	return text
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// practicallyUnlimited is the rate of a class that is to do nothing by itself: 100 Gbit/s.
const practicallyUnlimited = 100_000_000_000 / 8

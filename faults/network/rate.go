package network

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"gameday/faults"
)

// Limits of network_rate.
const (
	defaultRate = "1mbit"
	leastRate   = 8_000           // bits per second
	mostRate    = 100_000_000_000 // bits per second
	mostBurst   = 1 << 30         // bytes
	// leastBurst is one packet as the kernel builds it before a network card cuts it up.
	leastBurst = 1 << 16
)

// RateKind returns network_rate: what a place sends to others shares a slower line.
func RateKind() faults.Kind {
	return shapeKind("network_rate", "limit the rate at which a target sends, to another target or to addresses",
		func() faults.Config { return &Rate{} })
}

// Rate holds the parameters of network_rate. Empty ones have defaults.
type Rate struct {
	// Rate is how much may be sent in a second, of all selected packets together, with their Ethernet headers: a number
	// and
	// a unit of bits, such as "10mbit"; "1mbit" when empty.
	Rate string `hcl:"rate,optional" json:"rate,omitempty"`
	// Burst is how much may be sent at once after a pause: a number and a unit of bytes, such as "64kb".
	Burst string `hcl:"burst,optional" json:"burst,omitempty"`
	// To are the addresses, CIDR blocks and host names of receivers, unless the fault stands between targets.
	To []string `hcl:"to,optional" json:"to,omitempty"`
	// Ports narrows the fault to TCP and UDP packets with one of these as source or destination port.
	Ports []int `hcl:"ports,optional" json:"ports,omitempty"`
	// Direction is "out": no other is possible.
	Direction string `hcl:"direction,optional" json:"direction,omitempty"`
	// AllowSelfCut lets the fault hit addresses that gameday itself needs; its lease is then all that ends it.
	AllowSelfCut bool `hcl:"allow_self_cut,optional" json:"allow_self_cut,omitempty"`
}

// Touches returns the networks of To, with the addresses of its names.
func (r *Rate) Touches(faults.Place) (faults.Touched, error) { return r.selector().touches() }

// LookUp returns what looks up the host names in to, or nil.
func (r *Rate) LookUp() func(context.Context) error { return r.selector().lookUp() }

func (r *Rate) selector() selector {
	return selector{kind: "network_rate", to: r.To, ports: r.Ports, allowSelfCut: r.AllowSelfCut}
}

func (r *Rate) shaping() (shaping, error) {
	text := r.Rate
	if text == "" {
		text = defaultRate
	}
	bits, errRate := readAmount("rate", text, bitUnits, leastRate, mostRate)
	// Ten milliseconds' worth evens out timers; less than a packet would not do.
	burst, errBurst := max(bits/8/100, leastBurst), error(nil)
	if r.Burst != "" {
		burst, errBurst = readAmount("burst", r.Burst, byteUnits, 1, mostBurst)
	}
	if err := errors.Join(errRate, errBurst); err != nil {
		return shaping{}, err
	}
	words := text
	details := map[string]string{"rate": text, "burst": number(burst) + " bytes"}
	if r.Burst != "" {
		words += ", burst " + r.Burst
	}
	return shaping{rate: uint64(math.Round(bits / 8)), burst: uint64(math.Round(burst)), words: "rate " + words,
		details: details}, nil
}

// unit is a word and what it stands for, in bits or bytes.
type unit struct {
	name string
	size float64
}

// Units, as tc has them: decimal for rates, binary for sizes.
var (
	bitUnits  = []unit{{"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}}
	byteUnits = []unit{{"b", 1}, {"kb", 1 << 10}, {"mb", 1 << 20}}
)

// readAmount reads a number and a unit, such as "1.5mbit".
func readAmount(field, text string, units []unit, least, most float64) (float64, error) {
	lower := strings.ToLower(text)
	digits := strings.TrimRight(lower, "abcdefghijklmnopqrstuvwxyz")
	name := lower[len(digits):]
	value, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	var names []string
	size := 0.0
	for _, u := range units {
		names = append(names, u.name)
		if u.name == name {
			size = u.size
		}
	}
	if err != nil || size == 0 {
		return 0, &faults.FieldError{Field: field, Summary: "Invalid " + field,
			Detail: fmt.Sprintf("%q is not a %s. Write a number and one of the units %s, such as \"10%s\".",
				text, field, strings.Join(names, ", "), names[min(2, len(names)-1)])}
	}
	if value *= size; !(value >= least && value <= most) {
		return 0, &faults.FieldError{Field: field, Summary: strings.ToUpper(field[:1]) + field[1:] + " out of range",
			Detail: fmt.Sprintf("%s can be %s to %s %s, not %s.", field, number(least), number(most), names[0], text)}
	}
	return value, nil
}

// Validate reports every wrong parameter.
func (r *Rate) Validate() error { return validateShape(r, r.Direction) }

// Bind computes what is limited. It refuses to limit nothing, and all of a place's talk with itself.
func (r *Rate) Bind(p faults.Place) (faults.Injection, error) { return bindShape(r, p) }

// Preview returns "198.18.0.4, rate 10mbit".
func (r *Rate) Preview(p faults.Place) string { return previewShape(r, p) }

package stress

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gameday/faults"
	"gameday/sizes"
)

// amount is a size, or a share of something that is known on the place only.
type amount struct {
	bytes   uint64
	percent float64 // 0 for a size
}

// of returns the amount in bytes, where whole is what a percentage is of.
func (a amount) of(whole uint64) uint64 {
	if a.percent == 0 {
		return a.bytes
	}
	return uint64(a.percent / 100 * float64(whole))
}

// parseAmount reads "512MB" or "10%".
func parseAmount(text string) (amount, error) {
	number, ok := strings.CutSuffix(strings.TrimSpace(text), "%")
	if !ok {
		n, err := sizes.Parse(text)
		return amount{bytes: n}, err
	}
	p, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(p > 0 && p <= 100) {
		return amount{}, fmt.Errorf("%q is not a percentage above 0%% and up to 100%%", text)
	}
	return amount{percent: p}, nil
}

// sizeField checks a size that may be absent, from least bytes on.
func sizeField(field, text string, least uint64) error {
	if text == "" {
		return nil
	}
	n, err := sizes.Parse(text)
	return atLeast(field, text, n, least, err)
}

// amountField checks a size or percentage that may be absent; a size is from least bytes on.
func amountField(field, text string, least uint64) error {
	if text == "" {
		return nil
	}
	a, err := parseAmount(text)
	if err == nil && a.percent > 0 {
		return nil
	}
	return atLeast(field, text, a.bytes, least, err)
}

func atLeast(field, text string, n, least uint64, err error) error {
	if err != nil {
		return &faults.FieldError{Field: field, Summary: "Invalid size", Detail: sentence(err)}
	}
	if n < least {
		return &faults.FieldError{Field: field, Summary: "Size out of range",
			Detail: fmt.Sprintf("%s is less than %s, the least that it can be.", text, sizes.Show(least))}
	}
	return nil
}

// sentence makes an error's text one.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// percentField checks a percentage; 0 stands for absent.
func percentField(p float64) error {
	if p == 0 || (p > 0 && p <= 100) {
		return nil
	}
	return &faults.FieldError{Field: "percent", Summary: "Percentage out of range",
		Detail: fmt.Sprintf("A percentage is above 0 and at most 100, not %v.", p)}
}

// oneOf complains about the second and later of the fields that are given, when they exclude each other.
func oneOf(given map[string]bool, fields ...string) error {
	var errs []error
	first := ""
	for _, f := range fields {
		switch {
		case !given[f]:
		case first == "":
			first = f
		default:
			errs = append(errs, &faults.FieldError{Field: f, Summary: "Two amounts",
				Detail: fmt.Sprintf("%s and %s each say how much. Give one of %s.", first, f, strings.Join(fields, ", "))})
		}
	}
	return errors.Join(errs...)
}

// numberField checks a whole number.
func numberField(field string, n, least, most int) error {
	if n >= least && n <= most {
		return nil
	}
	return &faults.FieldError{Field: field, Summary: "Number out of range",
		Detail: fmt.Sprintf("%s is from %d to %d, not %d.", field, least, most, n)}
}

// Package sizes reads and writes amounts of bytes as people do.
package sizes

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units are those that are read; the longer names come first, since each ends with a shorter one.
var units = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// Max is more than any machine has, and small enough for sums of a few sizes.
const Max = 1 << 60

// Parse reads a whole number of bytes with a unit: "512MB" is 512·10⁶, "512MiB" is 512·2²⁰. It is from 1 to Max.
func Parse(text string) (uint64, error) {
	text = strings.TrimSpace(text)
	for _, u := range units {
		number, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || math.IsNaN(n) || n <= 0 {
			break
		}
		if n*u.bytes > Max {
			return 0, fmt.Errorf("%q is larger than any machine", text)
		}
		if n*u.bytes < 1 {
			return 0, fmt.Errorf("%q is less than a byte", text)
		}
		return uint64(n * u.bytes), nil
	}
	return 0, fmt.Errorf("%q is not a size: write a number and a unit, such as \"512MB\" or \"2GiB\"", text)
}

// Show writes a size with three figures: "512 MB".
func Show(n uint64) string {
	value, unit := float64(n), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if value < 999.5 {
			break
		}
		value, unit = value/1e3, next
	}
	if unit == "B" {
		return strconv.FormatUint(n, 10) + " B"
	}
	decimals := 0
	switch {
	case value < 9.995:
		decimals = 2
	case value < 99.95:
		decimals = 1
	}
	return strconv.FormatFloat(value, 'f', decimals, 64) + " " + unit
}

package loadgen

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadSeries(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		text string
		want []Point
	}{
		"seconds":             {"0,10\n60,12.5\n90.5,0\n", []Point{{0, 10}, {60 * s, 12.5}, {90*s + s/2, 0}}},
		"a heading":           {"time,rate\n0,1\n1,2\n", []Point{{0, 1}, {s, 2}}},
		"since the epoch":     {"1700000000,1\n1700000060,2", []Point{{0, 1}, {60 * s, 2}}},
		"dates":               {"2026-11-20T14:00:00Z,1\n2026-11-20T16:00:30+02:00,2\n", []Point{{0, 1}, {30 * s, 2}}},
		"blanks and remarks":  {"# of Friday\n\n 0 , 1 \n# the rest\n\n1, 2\r\n", []Point{{0, 1}, {s, 2}}},
		"quotes, and Windows": {"\xef\xbb\xbf\"time\",\"rate\"\r\n\"0\",\"1\"\r\n\"1\",\"2\"\r\n", []Point{{0, 1}, {s, 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadSeries(strings.NewReader(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadSeriesRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "line 1: there are 0 points, and a series has two at least",
		"time,rate\n0,1\n":              "line 1: there are 1 points, and a series has two at least",
		"0,1\n1\n":                      "line 2: there are 1 columns",
		"0,1,2\n":                       "line 1: there are 3 columns",
		"0,1\n1,\n":                     "line 2: the rate is missing",
		"0,1\n1,NaN\n":                  `line 2: "NaN" is not a rate per second`,
		"0,1O\n1,2\n2,3\n":              `line 1: "1O" is not a rate per second`,
		"0,1\n1,fast\n":                 `line 2: "fast" is not a rate per second`,
		"0,1\n1,Inf\n":                  `line 2: "Inf" is not a rate per second`,
		"# x\n0,1\n1,-2\n":              "line 3: the rate is -2",
		"0,1\n\n0,2\n":                  "line 3: the time 0 does not come after",
		"5,1\n4,2\n":                    "line 2: the time 4 does not come after",
		"0,1\nnoon,2\n":                 `line 2: "noon" is not a time`,
		"0,1\nNaN,2\n":                  `line 2: "NaN" is not a time`,
		"0,1\n2026-11-20T14:00:00Z,2\n": "line 2: some times are seconds and others RFC 3339",
		"2026-11-20T14:00:00Z,2\n1,2\n": "line 2: some times are seconds and others RFC 3339",
		"0,1\n1e300,2\n":                "line 2: the time 1e300 is centuries after",
		"0001-01-01T00:00:00Z,2\n2026-01-01T00:00:00Z,1": "line 2: the time 2026-01-01T00:00:00Z is centuries after",
		"0,1\n\"1,2\n": "line 2: ",
	} {
		points, err := ReadSeries(strings.NewReader(text))
		var placed *SeriesError
		if !errors.As(err, &placed) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %q", text, points, err, want)
		}
	}
	var b strings.Builder
	for i := range MaxLegs + 1 {
		fmt.Fprintf(&b, "%d,1\n", i)
	}
	_, err := ReadSeries(strings.NewReader(b.String()))
	if err == nil || err.Error() != "line 100001: there are more than 100000 points" {
		t.Errorf("too many points: %v", err)
	}
}

// FuzzReadSeries feeds the reader anything at all: what it takes can be replayed.
func FuzzReadSeries(f *testing.F) {
	for _, seed := range []string{
		"0,10\n60,12\n", "time,rate\n2026-11-20T14:00:00Z,1\n2026-11-20T14:01:00Z,2\n", "# x\n\"0\",\"1\"\n1e9,2\n",
		"0,1\n0.0000000001,1e308\n", "-1e18,0\n9223372036,1\n", "\xef\xbb\xbf0,1\r\n1,2\r\n", "a,b\nc,d\n",
		"0001-01-01T00:00:00Z,1\n9999-01-01T00:00:00Z,1\n",
	} {
		f.Add(seed, 60.0)
	}
	f.Fuzz(func(t *testing.T, text string, speed float64) {
		points, err := ReadSeries(strings.NewReader(text))
		if err != nil {
			if points != nil {
				t.Fatalf("points came with the error %v", err)
			}
			return
		}
		if len(points) < 2 || points[0].At != 0 {
			t.Fatalf("a series of %d points that begins at %s", len(points), points[0].At)
		}
		for i, p := range points {
			if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) || p.Value < 0 || i > 0 && p.At <= points[i-1].At {
				t.Fatalf("point %d is %v", i, p)
			}
		}
		if !(speed >= 1e-3 && speed <= 1e6) {
			return
		}
		program := Replay(points, speed)
		for i, l := range program.Legs {
			if l.Over < 0 {
				t.Fatalf("leg %d takes %s at a speed of %g", i, l.Over, speed)
			}
		}
	})
}

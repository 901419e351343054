package collector

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gameday/loadgen"
)

func TestK6Arguments(t *testing.T) {
	seg := func(i, of int) loadgen.Segment { return loadgen.Segment{Index: i, Of: of} }
	for _, c := range []struct {
		args string
		want K6Run
		err  string
	}{
		{"run --quiet --execution-segment=1/3:2/3 --execution-segment-sequence=0,1/3,2/3,1 /test/script.js --address=0.0.0.0:6565 --paused " +
			"--tag instance_id=2 --tag testrun_name=x", K6Run{seg(1, 3), "0.0.0.0:6565", true}, ""},
		{"run --execution-segment 2/3:1 --address :7000 s.js", K6Run{seg(2, 3), ":7000", false}, ""},
		{"run --execution-segment=1/2:3/4 s.js", K6Run{seg(2, 4), defaultAddress, false}, ""},
		{"run --quiet s.js --paused=false", K6Run{seg(0, 1), defaultAddress, false}, ""},
		{"run --execution-segment=0:2/3 s.js", K6Run{}, "not one of several equal"},
		{"run --execution-segment=1/6:1/2 s.js", K6Run{}, "not one of several equal"},
		{"run --execution-segment=-1/3:0 s.js", K6Run{}, "not one of several equal"},
		{"run --execution-segment=0:1/1000000 s.js", K6Run{}, "not one of several equal"},
		{"run --execution-segment= s.js", K6Run{}, "not one of several equal"},
		{"archive s.js", K6Run{}, "only k6 run"},
		{"", K6Run{}, "only k6 run"},
	} {
		got, err := ReadK6Run(strings.Fields(c.args))
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %+v, %v", c.args, got, err)
		}
	}
}

// TestSegmentsAsK6WritesThem checks that what loadgen writes for k6 is read back.
func TestSegmentsAsK6WritesThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		of := rapid.IntRange(2, maxSegments).Draw(t, "of")
		want := loadgen.Segment{Index: rapid.IntRange(0, of-1).Draw(t, "index"), Of: of}
		got, err := readSegment(want.String())
		if err != nil || got != want {
			t.Fatalf("%s is read as %+v, %v", want, got, err)
		}
	})
}

func FuzzSegment(f *testing.F) {
	f.Add("1/3:2/3")
	f.Add("0:1")
	f.Add("1e99999999:1")
	f.Fuzz(func(t *testing.T, s string) {
		if g, err := readSegment(s); err == nil && (g.Of < 1 || g.Of > maxSegments || g.Index < 0 || g.Index >= g.Of) {
			t.Errorf("%q is %+v", s, g)
		}
	})
}

// TestControl checks the conversation that the k6 operator and its starter have with a runner.
func TestControl(t *testing.T) {
	c := NewControl(true)
	s := httptest.NewServer(c)
	defer s.Close()
	ask := func(method, body, want string, code int) {
		t.Helper()
		q, err := http.NewRequest(method, s.URL+"/v1/status", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		a, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		text := make([]byte, 4096)
		n, _ := a.Body.Read(text)
		if a.StatusCode != code || !strings.Contains(string(text[:n]), want) {
			t.Errorf("%s %s: %d %s", method, body, a.StatusCode, text[:n])
		}
	}
	open := func(ch <-chan struct{}) bool {
		select {
		case <-ch:
			return false
		default:
			return true
		}
	}
	ask("GET", "", `"paused":true,"stopped":false,"running":false`, 200)
	ask("PATCH", "{", "", 400)
	ask("PATCH", `{"data":{"attributes":{"paused":true}}}`, `"paused":true`, 200)
	ask("DELETE", "", "", 405)
	if !open(c.Begun()) {
		t.Error("it has begun")
	}
	ask("PATCH", `{"data":{"attributes":{"paused":false,"stopped":false},"id":"default","type":"status"}}`, `"running":true`, 200)
	ask("PATCH", `{"data":{"attributes":{"paused":false}}}`, `"running":true`, 200)
	if open(c.Begun()) || !open(c.Stopped()) {
		t.Error("it has not begun, or is stopped")
	}
	ask("PATCH", `{"data":{"attributes":{"paused":true}}}`, "cannot be paused", 400)
	ask("PATCH", `{"data":{"attributes":{"stopped":true}}}`, `"stopped":true,"running":false`, 200)
	if open(c.Stopped()) {
		t.Error("it is not stopped")
	}
	if open(NewControl(false).Begun()) {
		t.Error("one that is not paused has not begun")
	}
	if a, err := http.Get(s.URL + "/v1/metrics"); err != nil || a.StatusCode != 404 {
		t.Errorf("%v", err)
	}
}

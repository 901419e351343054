package native

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gameday/loadgen"
)

// Whatever the weights, each flow has its share of every stretch of iterations, give or take a few, and one of weight 0 none.
func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(0.01, 100), rapid.Just(0.0)), 1, 8).Draw(t, "weights")
		var spec loadgen.Spec
		sum := 0.0
		for i, w := range weights {
			name := string(rune('a' + i))
			spec.Flows = append(spec.Flows, loadgen.Flow{Name: name, Weight: w, Requests: []loadgen.Request{get("http://" + name)}})
			sum += w
		}
		p, err := compile(spec)
		if sum == 0 {
			if err == nil {
				t.Fatal("nothing would be sent, and nothing is said")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		from, length := rapid.Uint64Range(1, 1e9).Draw(t, "from"), rapid.Uint64Range(1, 2000).Draw(t, "length")
		seen := map[string]float64{}
		for n := from; n < from+length; n++ {
			seen[p.pick(n).name]++
		}
		for i, w := range weights {
			name := string(rune('a' + i))
			if want := float64(length) * w / sum; math.Abs(seen[name]-want) > 6 || w == 0 && seen[name] > 0 {
				t.Fatalf("of %d iterations %g are of %s, want %.1f", length, seen[name], name, want)
			}
		}
	})
}

// TestMistakes names what is wrong with flows, and where.
func TestMistakes(t *testing.T) {
	for name, tt := range map[string]struct {
		change         func(*loadgen.Spec)
		request, field string
		says           string
	}{
		"scheme":     {func(s *loadgen.Spec) { s.Flows[0].Requests[0].URL = gaps("ftp://x/") }, "flow/get", "url", "http://"},
		"no host":    {func(s *loadgen.Spec) { s.Flows[0].Requests[0].URL = gaps("http:///x") }, "flow/get", "url", "no host"},
		"half known": {func(s *loadgen.Spec) { s.Flows[0].Requests[0].URL = gaps("shop/${iteration.id}") }, "flow/get", "url", "begins with"},
		"method":     {func(s *loadgen.Spec) { s.Flows[0].Requests[0].Method = "GE T" }, "flow/get", "method", "not a method"},
		"header": {func(s *loadgen.Spec) {
			s.Flows[0].Requests[0].Headers = []loadgen.Header{{Name: "a b", Value: gaps("c")}}
		}, "flow/get", "headers",
			"not the name of a header"},
		"line break": {func(s *loadgen.Spec) {
			s.Flows[0].Requests[0].Headers = []loadgen.Header{{Name: "a", Value: gaps("c\nd: e")}}
		},
			"flow/get", "headers", "line break"},
		"regexp":        {func(s *loadgen.Spec) { s.Flows[0].Requests[0].Expect.Body = []loadgen.BodyCheck{{Matches: "("}} }, "flow/get", "expect", "missing closing"},
		"redirects":     {func(s *loadgen.Spec) { s.Flows[0].Requests[0].Redirects = 21 }, "flow/get", "redirects", "0 to 20 redirects"},
		"unknown value": {func(s *loadgen.Spec) { s.Flows[0].Requests[0].Body = gaps("${value.x}") }, "flow/get", "body", `extracts "x"`},
		"unknown data":  {func(s *loadgen.Spec) { s.Flows[0].Requests[0].Body = gaps("${data.x.y}") }, "flow/get", "body", `no data "x"`},
		"unknown gap":   {func(s *loadgen.Spec) { s.Flows[0].Requests[0].Body = gaps("${nothing}") }, "flow/get", "body", "stands for nothing"},
		"extract":       {func(s *loadgen.Spec) { s.Flows[0].Requests[0].Extract = []loadgen.Extract{{Name: "x"}} }, "flow/get", "extract", "one of json"},
		"no flow":       {func(s *loadgen.Spec) { s.Flows = nil }, "", "", "no flow"},
		"negative":      {func(s *loadgen.Spec) { s.Flows[0].Weight = -1 }, "", "", "a weight is from 0"},
		"data":          {func(s *loadgen.Spec) { s.Data = []loadgen.DataSet{{Name: "d", Columns: []string{"a"}}} }, "", "", "no row"},
		"HTTP version":  {func(s *loadgen.Spec) { s.Wire.HTTP = "3" }, "", "", `no HTTP version "3"`},
		"fresh HTTP/2":  {func(s *loadgen.Spec) { s.Wire = loadgen.Wire{HTTP: loadgen.HTTP2, Fresh: true} }, "", "", "HTTP/1.1"},
		"CA":            {func(s *loadgen.Spec) { s.Wire.TLS.CA = "/nowhere.pem" }, "", "", "no such file"},
		"certificate":   {func(s *loadgen.Spec) { s.Wire.TLS.Cert = "/nowhere.pem" }, "", "", "certificate and key"},
	} {
		spec := loadgen.Spec{Flows: flows(get("http://127.0.0.1:1/"))}
		if problems := (&Engine{}).Check(t.Context(), spec); len(problems) > 0 {
			t.Fatalf("nothing is wrong, and it says %+v", problems)
		}
		tt.change(&spec)
		problems := (&Engine{}).Check(t.Context(), spec)
		if len(problems) != 1 || problems[0].Request != tt.request || problems[0].Field != tt.field || !strings.Contains(problems[0].Detail, tt.says) {
			t.Errorf("%s: %+v", name, problems)
		}
	}
}

package scenarios

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/loadgen"
)

// TestRequests reads back a traffic block with requests, value by value.
func TestRequests(t *testing.T) {
	f := Load("testdata/good/requests.hcl", testOptions())
	if f.Diags.HasErrors() {
		t.Fatal(f.Diags)
	}
	got := f.Scenarios[0].Traffic[0]
	lit := loadgen.Literal
	ref := func(r string) loadgen.Part { return loadgen.Part{Ref: r} }
	in := func(p loadgen.Place, r string) loadgen.Part { return loadgen.Part{Ref: r, Place: p} }
	word := func(w string) loadgen.Part { return loadgen.Part{Text: w} }
	text := func(s string) *string { return &s }
	shared := []loadgen.Header{{Name: "User-Agent", Value: lit("shoppers")}, {Name: "X-Token", Value: lit("t-1")}}
	base := "http://shop:8080"
	want := []loadgen.Flow{
		{Name: "home", Weight: 3, Requests: []loadgen.Request{{Name: "home", URL: lit("/"), Base: base, Headers: shared, Timeout: 10 * time.Second}}},
		{Name: "buy", Weight: 0.5, Requests: []loadgen.Request{
			{Name: "add", Method: "POST", Base: base, Timeout: 2 * time.Second, Redirects: 2, Think: loadgen.Pause{Min: 200 * time.Millisecond, Max: time.Second},
				URL:     loadgen.Text{word("/cart?user="), in(loadgen.InQuery, "data.users.name"), word("&q=a+b%26c")},
				Headers: []loadgen.Header{{Name: "content-type", Value: lit("application/json")}, {Name: "x-token", Value: lit("own")}, shared[0]},
				Body:    loadgen.Text{word(`{"code":"`), in(loadgen.InJSON, "data.codes.code"), word(`","n":"`), in(loadgen.InJSON, "iteration.number"), word(`","sku":"A1"}`)},
				Expect: loadgen.Expect{Status: []int{200, 201}, Body: []loadgen.BodyCheck{{Contains: "ok"}, {Matches: `^\{`}},
					JSON: []loadgen.JSONCheck{{Path: "id"}, {Path: "items.#", Equals: text("2")}, {Path: "items.0.sku", Equals: text("A1")},
						{Path: "paid", Equals: text("false")}},
					Headers: []loadgen.HeaderCheck{{Name: "Content-Type", Matches: "json"}}},
				Extract: []loadgen.Extract{{Name: "cart", JSON: "id"}, {Name: "where", Header: "Location"}, {Name: "sum", Regexp: `sum=(\d+)`}}},
			{Name: "pay", Method: "POST", Base: base, Headers: shared, Timeout: 10 * time.Second, Think: loadgen.Pause{Min: time.Second, Max: time.Second},
				URL:  loadgen.Text{word("/cart/"), in(loadgen.InPath, "value.cart"), word("/pay?s="), in(loadgen.InQuery, "value.sum")},
				Body: loadgen.Text{word("id="), ref("iteration.id")}, Expect: loadgen.Expect{Status: []int{204}}},
			{Name: "see", Base: base, Headers: shared, Timeout: 10 * time.Second, URL: loadgen.Text{ref("value.where")}},
		}},
		{Name: "bank", Weight: 1, Requests: []loadgen.Request{{Name: "bank", URL: lit("https://bank.test:8443/x"), Base: base, Headers: shared, Timeout: 10 * time.Second}}},
	}
	if diff := cmp.Diff(want, got.Flows); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
	wire := loadgen.Wire{HTTP: "1.1", Fresh: true, Unix: f.Scenarios[0].Dir + "/run/shop.sock", TLS: loadgen.TLS{ServerName: "shop", Insecure: true}}
	if diff := cmp.Diff(wire, got.Wire); diff != "" {
		t.Errorf("wire (-want +got):\n%s", diff)
	}
	data := []loadgen.DataSet{
		{Name: "users", Columns: []string{"age", "name"}, Rows: [][]string{{"41", "ann"}, {"7", "bob"}}, Shuffle: true},
		{Name: "codes", Columns: []string{"area", "code"}, Rows: [][]string{{"north", "1"}, {"south", "2"}}},
	}
	if diff := cmp.Diff(data, got.Data); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	if mix := got.Mix(); mix != "home 66.7 %, buy 11.1 % (add, pay, see), bank 22.2 %" {
		t.Errorf("the mix is %q", mix)
	}
}

// TestRowsOfAnObject reads rows that are an object of objects, whose keys are no numbers.
func TestRowsOfAnObject(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.hcl")
	text := `scenario "s" {
  timeline { load = "10s" }
  traffic "t" {
    base = "http://shop:8080"
    baseline { rate = 1 }
    data "users" { rows = { a = { name = "ann" }, b = { nam = "bob" } } }
    request "home" { url = "/" }
  }
}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var said string
	for _, d := range Load(path, testOptions()).Diags {
		said += d.Detail
	}
	if !strings.Contains(said, "row 2 has nam") {
		t.Error(said)
	}
}

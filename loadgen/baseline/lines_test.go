package baseline

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// at2000 is the time of the example in Apache's manual.
var at2000 = time.Date(2000, 10, 10, 20, 55, 36, 0, time.UTC)

// TestLines reads lines of each format as they are met, and refuses what only looks like them.
func TestLines(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	nested := Fields{Time: "ts", Method: "request.method", Path: "request.uri", Status: "status"}
	spring := Fields{Time: "@timestamp", Method: "method", Path: "request", Status: "code"}
	haproxy := `\[(?P<time>[^\]]+)\] \S+ \S+ [\d/]+ (?P<status>\d+) \d+ .* "(?P<method>\S+) (?P<path>\S+) HTTP/[\d.]+"$`
	for _, c := range []struct {
		name   string
		log    Log
		line   string
		at     time.Time // zero when it is no request
		route  string
		status int
	}{
		{"apache", Log{Format: Common}, `127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326`, at2000, "GET /apache_pb.gif", 200},
		{"nginx", Log{Format: Combined}, `::1 - - [10/Oct/2000:20:55:36 +0000] "POST /cart/17?x=1 HTTP/2.0" 201 5 "https://a/b" "Mozilla/5.0 [en]"`, at2000, "POST /cart/:id", 201},
		{"with a virtual host and times", Log{Format: Combined}, `www.example.org:80 1.2.3.4 - - [10/Oct/2000:20:55:36 +0000] "GET / HTTP/1.1" 304 0 "-" "-" 0.003 0.002`, at2000, "GET /", 304},
		{"a user in brackets", Log{Format: Combined}, `1.2.3.4 - [root] [10/Oct/2000:22:55:36 +0200] "GET / HTTP/1.1" 401 9 "-" "-"`, at2000, "GET /", 401},
		{"a quote in the request", Log{Format: Combined}, `1.2.3.4 - - [10/Oct/2000:20:55:36 +0000] "GET /\"x\" y HTTP/1.1" 404 9 "-" "-"`, at2000, `GET /\"x\" y`, 404},
		{"TLS to a plain port", Log{Format: Combined}, `1.2.3.4 - - [10/Oct/2000:20:55:36 +0000] "\x16\x03\x01\x02" 400 157 "-" "-"`, at2000, "-", 400},
		{"no request at all", Log{Format: Combined}, `1.2.3.4 - - [10/Oct/2000:20:55:36 +0000] "-" 408 0 "-" "-"`, at2000, "-", 408},
		{"an old client", Log{Format: Combined}, `1.2.3.4 - - [10/Oct/2000:20:55:36 +0000] "GET /x" 200 0`, at2000, "GET /x", 200},
		{"a whole URL", Log{Format: Combined}, `1.2.3.4 - - [10/Oct/2000:20:55:36 +0000] "GET http://shop.example/a/9 HTTP/1.1" 200 0`, at2000, "GET /a/:id", 200},
		{"no such day", Log{Format: Combined}, `1.2.3.4 - - [31/Feb/2000:20:55:36 +0000] "GET / HTTP/1.1" 200 0`, time.Time{}, "", 0},
		{"no such month", Log{Format: Combined}, `1.2.3.4 - - [10/anF/2000:20:55:36 +0000] "GET / HTTP/1.1" 200 0`, time.Time{}, "", 0},
		{"cut in the time", Log{Format: Combined}, `1.2.3.4 - - [10/Oct/2000:20:55`, time.Time{}, "", 0},
		{"cut in the request", Log{Format: Combined}, `1.2.3.4 - - [10/Oct/2000:20:55:36 +0000] "GET /`, time.Time{}, "", 0},
		{"cut in the status", Log{Format: Combined}, `1.2.3.4 - - [10/Oct/2000:20:55:36 +0000] "GET / HTTP/1.1" 20`, time.Time{}, "", 0},
		{"a long status", Log{Format: Combined}, `1.2.3.4 - - [10/Oct/2000:20:55:36 +0000] "GET / HTTP/1.1" 2000 1`, time.Time{}, "", 0},

		{"json", Log{Format: JSON}, `{"time":"2000-10-10T20:55:36Z","method":"GET","path":"/a/1","status":200}`, at2000, "GET /a/:id", 200},
		{"json, text for a number", Log{Format: JSON}, `{"time":"971211336","method":"GET","path":"/","status":"502"}`, at2000, "GET /", 502},
		{"json, milliseconds", Log{Format: JSON}, `{"time":971211336000,"path":"/"}`, at2000, "/", 0},
		{"json, fractions", Log{Format: JSON, Fields: nested}, `{"ts":971211336.0,"request":{"method":"PUT","uri":"/a?b=/c"},"status":204}`, at2000, "PUT /a", 204},
		{"json, the request in one", Log{Format: JSON, Fields: spring}, `{"@timestamp":"2000-10-10T22:55:36+02:00","request":"GET /a HTTP/1.1","code":200}`, at2000, "GET /a", 200},
		{"json, the log's zone", Log{Format: JSON, Zone: berlin}, `{"time":"2000-10-10 22:55:36,000","path":"/"}`, at2000, "/", 0},
		{"json without a path", Log{Format: JSON}, `{"time":"2000-10-10T20:55:36Z","msg":"started"}`, time.Time{}, "", 0},
		{"json without a time", Log{Format: JSON}, `{"path":"/","status":200}`, time.Time{}, "", 0},
		{"json, cut", Log{Format: JSON}, `{"time":"2000-10-10T20:55:36Z","path":"/","status":20`, time.Time{}, "", 0},
		{"json, another time", Log{Format: JSON}, `{"time":"yesterday","path":"/"}`, time.Time{}, "", 0},
		{"json before 1970", Log{Format: JSON}, `{"time":-5,"path":"/"}`, time.Time{}, "", 0},

		{"haproxy", Log{Format: Regexp, Pattern: haproxy, Zone: time.UTC},
			`Oct 10 20:55:36 lb haproxy[9]: 10.0.1.2:33317 [10/Oct/2000:20:55:36.000] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1"`,
			at2000, "GET /index.html", 200},
		{"only a time", Log{Format: Regexp, Pattern: `^(?P<time>\S+)`}, `2000-10-10T20:55:36Z something happened`, at2000, "-", 0},
		{"an optional group", Log{Format: Regexp, Pattern: `^(?P<time>\d+)(?: (?P<path>/\S*))?`}, `971211336`, at2000, "-", 0},
		{"an abbreviation of the log's zone", Log{Format: Regexp, Pattern: `^(?P<time>.+)$`, Zone: berlin}, `Tue, 10 Oct 2000 22:55:36 CEST`, at2000, "-", 0},
		{"an abbreviation of another zone", Log{Format: Regexp, Pattern: `^(?P<time>.+)$`}, `Tue, 10 Oct 2000 22:55:36 CEST`, time.Time{}, "", 0},
		{"Greenwich", Log{Format: Regexp, Pattern: `^(?P<time>.+)$`, Zone: berlin}, `Tue, 10 Oct 2000 20:55:36 GMT`, at2000, "-", 0},
		{"no match", Log{Format: Regexp, Pattern: `^(?P<time>\d+) `}, `x`, time.Time{}, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := c.log
			if l.Fields == (Fields{}) {
				l.Fields = DefaultFields()
			}
			if l.Zone == nil {
				l.Zone = time.UTC
			}
			parse, err := l.parser()
			if err != nil {
				t.Fatal(err)
			}
			e, ok := parse([]byte(c.line))
			if ok != !c.at.IsZero() {
				t.Fatalf("it is a request: %t", ok)
			}
			if !ok {
				return
			}
			route := string(newTally(time.Hour, time.Second).route(e))
			if !time.Unix(0, e.at).Equal(c.at) || route != c.route || e.status != c.status {
				t.Errorf("%s %q %d", time.Unix(0, e.at).UTC(), route, e.status)
			}
		})
	}
}

// TestRoutes makes templates of paths.
func TestRoutes(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "": "", "*": "", "/a/b": "/a/b", "/a/": "/a/", "//a": "//a",
		"/cart/17": "/cart/:id", "/cart/17/pay": "/cart/:id/pay", "/img/17.jpg": "/img/:id.jpg", "/2026-11-28/": "/:id/",
		"/u/3f2504e0-4f89-11d3-9a0c-0305e82c3301": "/u/:id", "/c/84ba601": "/c/:id", "/c/da39a3ee5e6b4b0d3255bfef95601890afd80709.js": "/c/:id.js",
		"/o/01ARZ3NDEKTSV4RRFFQ69G5FAV": "/o/:id", "/o/507f1f77bcf86cd799439011": "/o/:id", "/v/1.4.2": "/v/:id",
		"/v1/users": "/v1/users", "/feedback": "/feedback", "/decade/facade": "/decade/facade", "/page2": "/page2", "/deadbeef": "/deadbeef",
		"/reset/aGVsbG8gd29ybGQhIQ4Zx9": "/reset/:id", "/t/eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9": "/t/:id",
		"/users/jane@example.com/orders": "/users/:id/orders", "/users/jane%40example.com": "/users/:id", "/@types/node": "/@types/node",
		"/wiki/HowToBakeBreadIn2026WithoutAnOven":         "/wiki/HowToBakeBreadIn2026WithoutAnOven",
		"/wiki/How-To-Bake-Bread-In-2026-Without-An-Oven": "/wiki/How-To-Bake-Bread-In-2026-Without-An-Oven",
		"/blog/how-to-bake-bread-in-2026-without-an-oven": "/blog/how-to-bake-bread-in-2026-without-an-oven",
		"/a?b=/c/1": "/a", "/a#b": "/a", "/a;jsessionid=1A2B": "/a", "https://h/a/1?x": "/a/:id", "http://h": "/", "/go?to=http://h/x": "/go",
		"/1/2/3/4/5/6/7/8/9/10":           "/:id/:id/:id/:id/:id/:id/:id/:id/…",
		"/" + strings.Repeat("long", 100): "/" + strings.Repeat("long", 100)[:maxRoute-1] + "…",
	} {
		if got := string(appendRoute(nil, []byte(path))); got != want {
			t.Errorf("%q is %q, want %q", path, got, want)
		}
	}
}

// FuzzLines feeds every format anything at all: a parser must not panic, gives times that a tally can count, and routes that
// are bounded, can be printed, and stay as they are when they are made again.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{
		combined(at2000, "GET /cart/17?x=1 HTTP/1.1", 200), `a [b] [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326`,
		`{"time":"2000-10-10T20:55:36Z","method":"GET","path":"/a/1","status":200}`, `{"time":9.7e8,"path":"GET http://h/3f2504e0 HTTP/1.1"}`,
		"2000-10-10 20:55:36,123 GET /a/1 200", "[01/Jan/1970:00:00:00 +2359] \"\xff /\xff\" 200", "\x00", "",
	} {
		f.Add([]byte(seed))
	}
	var parsers []parser
	for _, format := range Formats() {
		l := DefaultLog()
		l.Format, l.Pattern = Format(format), `^(?P<time>\S+ \S+) (?P<method>\S+) (?P<path>\S+) (?P<status>\d+)`
		p, err := l.parser()
		if err != nil {
			f.Fatal(err)
		}
		parsers = append(parsers, p)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for i, parse := range parsers {
			for line := range bytes.Lines(text) {
				e, ok := parse(bytes.TrimRight(line, "\r\n"))
				if !ok {
					continue
				}
				if year := time.Unix(0, e.at).UTC().Year(); year < 1969 || year > lastYear+1 || e.status < 0 || e.status > 999 {
					t.Fatalf("%s reads %+v", Formats()[i], e)
				}
				route := appendRoute(nil, e.path)
				if again := appendRoute(nil, route); len(route) <= maxRoute && !bytes.Equal(again, route) {
					t.Fatalf("the template of %q is %q, and of that %q", e.path, route, again)
				}
				if shown := printable(string(route)); !utf8.ValidString(shown) || len(route) > maxRoute+len("…") || strings.ContainsAny(shown, "\n\x1b") {
					t.Fatalf("the route %q", route)
				}
			}
			r := &reading{tally: newTally(time.Minute, time.Second)}
			if err := r.read(t.Context(), bytes.NewReader(text), parse); err == nil && r.unread > r.lines {
				t.Fatalf("%d of %d lines", r.unread, r.lines)
			}
			r.tally.mix()
			r.tally.gap()
		}
	})
}

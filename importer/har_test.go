package importer_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gameday/importer"
	"gameday/loadgen"
)

// exchange is one entry of a recording that is about values.
type exchange struct {
	url, body, answer string
	headers           map[string]string
	page              string
}

// recorded writes exchanges as a HAR file.
func recorded(t *testing.T, list []exchange) []byte {
	t.Helper()
	var entries []any
	for i, e := range list {
		var headers []any
		for name, value := range e.headers {
			headers = append(headers, map[string]any{"name": name, "value": value})
		}
		request := map[string]any{"method": "GET", "url": e.url, "headers": headers}
		if e.body != "" {
			request["method"], request["postData"] = "POST", map[string]any{"text": e.body}
		}
		entries = append(entries, map[string]any{"pageref": e.page, "startedDateTime": time.Unix(int64(i), 0).UTC().Format(time.RFC3339), "request": request,
			"response": map[string]any{"status": 200, "content": map[string]any{"mimeType": "application/json", "text": e.answer}}})
	}
	b, err := json.Marshal(map[string]any{"log": map[string]any{"entries": entries}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestValues finds what is made of earlier answers, and nothing else.
func TestValues(t *testing.T) {
	const base = "http://shop.test"
	for _, c := range []struct {
		name    string
		list    []exchange
		last    string   // the last request: its URL, its headers' values, its body
		extract []string // of all requests: "name=path"
		note    string   // a part of what is said
	}{
		{"an id in a path", []exchange{{url: base + "/carts", answer: `{"cart":{"id":"c-123456"}}`}, {url: base + "/carts/c-123456/pay"}}, "/carts/${value.cart_id}/pay", []string{"cart_id=cart.id"},
			`out of "cart.id" of the answer to log.entries[0]: the same text was at both places`},
		{"a UUID in a query", []exchange{{url: base + "/u", answer: `{"id":"0b6f2c2e-6d0d-4c57-8f0e-1234567890ab"}`}, {url: base + "/x?u=0b6f2c2e-6d0d-4c57-8f0e-1234567890ab&y=1"}},
			"/x?u=${value.u_id}&y=1", []string{"u_id=id"}, ""},
		{"a part of a UUID is another thing", []exchange{{url: base + "/u", answer: `{"id":"0b6f2c2e"}`}, {url: base + "/x?u=0b6f2c2e-6d0d-4c57-8f0e-1234567890ab"}},
			"/x?u=0b6f2c2e-6d0d-4c57-8f0e-1234567890ab", nil, ""},
		{"a number in a body", []exchange{{url: base + "/o", answer: `[{"no":1234567}]`}, {url: base + "/pay", body: `{"order":1234567,"x":12345678}`}},
			`/pay {"order":${value.no},"x":12345678}`, []string{"no=0.no"}, ""},
		{"a token in a header", []exchange{{url: base + "/login", answer: `{"token":"AbC+12/3456=="}`}, {url: base + "/me", headers: map[string]string{"X-Token": "AbC+12/3456=="}}},
			"/me ${value.token}", []string{"token=token"}, ""},
		{"what would be encoded in a URL stays", []exchange{{url: base + "/login", answer: `{"v":"AbC+12/3456=="}`}, {url: base + "/me?v=AbC%2B12%2F3456%3D%3D"}}, "/me?v=AbC%2B12%2F3456%3D%3D", nil, ""},
		{"what the client made", []exchange{{url: base + "/new?key=k-123456", answer: `{"key":"k-123456"}`}, {url: base + "/get/k-123456"}}, "/get/k-123456", nil, ""},
		{"too short", []exchange{{url: base + "/a", answer: `{"id":"ab123"}`}, {url: base + "/a/ab123"}}, "/a/ab123", nil, ""},
		{"a word", []exchange{{url: base + "/a", answer: `{"kind":"electronics"}`}, {url: base + "/a/electronics"}}, "/a/electronics", nil, ""},
		{"a date", []exchange{{url: base + "/a", answer: `{"day":"2026-03-02"}`}, {url: base + "/a/2026-03-02"}}, "/a/2026-03-02", nil, ""},
		{"at several places", []exchange{{url: base + "/a", answer: `{"a":"id-12345","b":"id-12345"}`}, {url: base + "/a/id-12345"}}, "/a/id-12345", nil, "at several places"},
		{"again in a later answer", []exchange{{url: base + "/a", answer: `{"a":"id-12345"}`}, {url: base + "/b", answer: `{"x":"id-12345"}`}, {url: base + "/a/id-12345"}},
			"/a/${value.a}", []string{"a=a"}, ""},
		{"keys that need escapes", []exchange{{url: base + "/a", answer: `{"a.b":{"*":"id-12345"}}`}, {url: base + "/a/id-12345"}}, "/a/${value.value}", []string{`value=a\.b.\*`}, ""},
		{"the host is none", []exchange{{url: base + "/a", answer: `{"host":"shop1.test"}`}, {url: "http://shop1.test/x/"}}, "http://shop1.test/x/", nil, ""},
		{"broken JSON", []exchange{{url: base + "/a", answer: `{"id":"id-12345"`}, {url: base + "/a/id-12345"}}, "/a/id-12345", nil, ""},
		{"another page", []exchange{{url: base + "/a", page: "1", answer: `{"id":"id-12345"}`}, {url: base + "/a/id-12345", page: "2"}}, "/a/id-12345", nil, "that answer is in another flow"},
		{"names that repeat", []exchange{{url: base + "/a", answer: `{"id":"id-12345","b":[{"id":"id-22222"},{"id":"id-33333"}]}`}, {url: base + "/id-22222/id-33333/id-12345"}},
			"/${value.b_id}/${value.b_id_2}/${value.a_id}", []string{"b_id=b.0.id", "b_id_2=b.1.id", "a_id=id"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := importer.ReadHAR(bytes.NewReader(recorded(t, c.list)), importer.Options{Name: "t", Base: base})
			if err != nil {
				t.Fatal(err)
			}
			var extract []string
			var q loadgen.Request
			for _, f := range r.Flows {
				for _, q = range f.Requests {
					for _, e := range q.Extract {
						extract = append(extract, e.Name+"="+e.JSON)
					}
				}
			}
			last := q.URL.String()
			for _, h := range q.Headers {
				last += " " + h.Value.String()
			}
			if q.Body != nil {
				last += " " + q.Body.String()
			}
			if last != c.last {
				t.Errorf("the last request is %s, want %s", last, c.last)
			}
			if diff := cmp.Diff(c.extract, extract, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("extracts:\n%s", diff)
			}
			if !strings.Contains(fmt.Sprint(r.Losses), c.note) {
				t.Errorf("%q is not said in %v", c.note, r.Losses)
			}
		})
	}
}

// TestNoSecrets holds every page to what was recorded in secret: none of it may be told.
func TestNoSecrets(t *testing.T) {
	secrets := []string{"s3cr3t-of-the-recording", "hunter2hunter2", "c2lnbmF0dXJl", "reset-99-abc", "aa55bb66", "geheim", "abc123def456", "zzz-very-secret-1", "pa55word", "k-19-18-17-16-15",
		"AKIA1234567890", "tok-123456-abc", "k-123456789", "staging-key-1234", "pw-9-8-7-6", "abcdef123456", "secret-123456"}
	sources, pages := "", ""
	for pattern, text := range map[string]*string{"testdata/*/*.har": &sources, "testdata/postman/*.json": &sources, "testdata/*/*.golden": &pages} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("nothing at %s: %v", pattern, err)
		}
		for _, p := range paths {
			b, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			*text += string(b)
		}
	}
	for _, s := range secrets {
		if !strings.Contains(sources, s) {
			t.Errorf("%q is not a secret of the test files any more", s)
		}
		if strings.Contains(pages, s) {
			t.Errorf("the secret %q is told", s)
		}
	}
}

// TestCookies sends the cookies that are older than the flow beside those that its answers set, and none of a request that is left
// out.
func TestCookies(t *testing.T) {
	const set = `"response":{"status":200,"headers":[{"name":"Set-Cookie","value":"%s=1; Path=/"}]}`
	entry := func(url, cookies, body, sets string) string {
		return fmt.Sprintf(`{"request":{"method":"POST","url":"http://a.test/%s","headers":[{"name":"Cookie","value":"%s"}]%s},`+set+`}`, url, cookies, body, sets)
	}
	doc := `{"log":{"entries":[` + strings.Join([]string{
		entry("old", "session=s", "", "lb"),
		entry("both", "session=s; lb=1", "", "lb"),
		entry("own", "lb=1;", "", "lb"),
		entry("left-out", "lb=1", `,"postData":{"encoding":"base64","text":"/w=="}`, "login"),
		entry("then", "lb=1; login=1", "", "lb"),
	}, ",") + `]}}`
	r, err := importer.ReadHAR(strings.NewReader(doc), importer.Options{Name: "t"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, q := range r.Flows[0].Requests {
		for _, h := range q.Headers {
			if h.Name == "Cookie" {
				got = append(got, q.URL.String())
			}
		}
	}
	if want := []string{"/old", "/both", "/then"}; !cmp.Equal(want, got) {
		t.Errorf("cookies are sent with %v, want %v", got, want)
	}
}

// TestUnrecorded says which bodies were sent and are not in the recording, or not all of them, or not as they were.
func TestUnrecorded(t *testing.T) {
	for _, c := range []struct {
		name, request, note string
		off                 bool
	}{
		{"none", `"bodySize":0,"postData":{"mimeType":"text/plain","text":""}`, "", false},
		{"no text", `"bodySize":7,"postData":{"mimeType":"text/plain","text":""}`, "a body of 7 bytes: it was sent, and not recorded", true},
		{"no text, by the header", `"bodySize":-1,"headers":[{"name":"content-length","value":"7"}],"postData":{"mimeType":"text/plain","text":""}`, "a body of 7 bytes", true},
		{"a part", `"bodySize":900,"postData":{"mimeType":"text/plain","text":"abc"}`, "3 of 900 bytes were recorded", false},
		{"all", `"bodySize":3,"postData":{"mimeType":"text/plain","text":"abc"}`, "", false},
		{"compressed", `"bodySize":2,"headers":[{"name":"content-encoding","value":"gzip"}],"postData":{"mimeType":"text/plain","text":"abc"}`, "the header Content-Encoding: gzip", false},
	} {
		doc := `{"log":{"entries":[{"request":{"method":"POST","url":"http://a.test/x",` + c.request + `},"response":{"status":200}}]}}`
		r, err := importer.ReadHAR(strings.NewReader(doc), importer.Options{Name: "t"})
		if err != nil {
			t.Fatal(err)
		}
		if off := len(r.Off) > 0; off != c.off {
			t.Errorf("%s: it is off: %v, want %v", c.name, off, c.off)
		}
		text := fmt.Sprint(r.Losses)
		if !strings.Contains(text, c.note) || c.note == "" && strings.Contains(text, "body") {
			t.Errorf("%s: %q is not what is said in %s", c.name, c.note, text)
		}
		for _, h := range r.Flows[0].Requests[0].Headers {
			if strings.EqualFold(h.Name, "Content-Encoding") {
				t.Errorf("%s: it is sent with %s", c.name, h.Value)
			}
		}
	}
}

// TestOptions changes what is kept.
func TestOptions(t *testing.T) {
	list := []exchange{{url: "http://a.test/"}, {url: "http://a.test/x.css"}, {url: "http://b.test/api"}, {url: "http://a.test/api", page: "2"}}
	for _, c := range []struct {
		name string
		o    importer.Options
		want string
	}{
		{"by default", importer.Options{}, "session: / http://b.test/api; session-2: /api"},
		{"with assets", importer.Options{Assets: true}, "session: / /x.css http://b.test/api; session-2: /api"},
		{"the base alone", importer.Options{BaseOnly: true}, "session: /; session-2: /api"},
		{"one flow", importer.Options{OneFlow: true}, "session: / http://b.test/api /api"},
	} {
		doc := bytes.ReplaceAll(recorded(t, list), []byte("application/json"), nil) // which would speak for x.css
		r, err := importer.ReadHAR(bytes.NewReader(doc), c.o)
		if err != nil {
			t.Fatal(err)
		}
		var flows []string
		for _, f := range r.Flows {
			words := []string{f.Name + ":"}
			for _, q := range f.Requests {
				words = append(words, q.URL.String())
			}
			flows = append(flows, strings.Join(words, " "))
		}
		if got := strings.Join(flows, "; "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestThink takes the pauses of a recording over, within the bound, and never a negative one.
func TestThink(t *testing.T) {
	entry := func(at float64, took any) string {
		return fmt.Sprintf(`{"startedDateTime":%q,"time":%v,"request":{"url":"http://a.test/"},"response":{"status":200}}`, time.UnixMilli(int64(at*1000)).UTC().Format(time.RFC3339Nano), took)
	}
	doc := `{"log":{"entries":[` + strings.Join([]string{entry(0, 500), entry(2, 1e3), entry(2.5, -1), entry(60, `"x"`), entry(60, 0)}, ",") + `]}}`
	for limit, want := range map[time.Duration][]time.Duration{0: {0, 0, 0, 0, 0}, 10 * time.Second: {1500 * time.Millisecond, 0, 10 * time.Second, 0, 0}} {
		r, err := importer.ReadHAR(strings.NewReader(doc), importer.Options{MaxThink: limit})
		if err != nil {
			t.Fatal(err)
		}
		var got []time.Duration
		for _, q := range r.Flows[0].Requests {
			got = append(got, q.Think.Max)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("at most %s:\n%s", limit, diff)
		}
	}
	var minutes []string
	for i := range 8 {
		minutes = append(minutes, entry(float64(10*i), 0))
	}
	r, err := importer.ReadHAR(strings.NewReader(`{"log":{"entries":[`+strings.Join(minutes, ",")+`]}}`), importer.Options{MaxThink: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if said := fmt.Sprint(r.Losses); !strings.Contains(said, "pauses of 1m10s in each run of the flow") {
		t.Errorf("a long flow: %s", said)
	}
}

// TestWire tells the version of HTTP.
func TestWire(t *testing.T) {
	for _, c := range []struct {
		versions, want string
		noted          bool
	}{
		{"h2 h2 h2", loadgen.HTTP2, false},
		{"HTTP/2 HTTP/2.0 http/1.1", loadgen.HTTP2, false},
		{"h2 http/1.1 HTTP/1.1", "", false},
		{"h3 h3 h2", loadgen.HTTP2, true},
		{"h2 h2 plain", "", false},
		{"- -", "", false},
	} {
		var entries []string
		for version := range strings.FieldsSeq(c.versions) {
			url := "https://a.test/"
			if version == "plain" {
				url, version = "http://b.test/", "HTTP/1.1"
			}
			entries = append(entries, fmt.Sprintf(`{"request":{"url":%q,"httpVersion":%q}}`, url, version))
		}
		r, err := importer.ReadHAR(strings.NewReader(`{"log":{"entries":[`+strings.Join(entries, ",")+`]}}`), importer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if r.Wire.HTTP != c.want || strings.Contains(fmt.Sprint(r.Losses), "HTTP/3") != c.noted {
			t.Errorf("%s: %q with %v", c.versions, r.Wire.HTTP, r.Losses)
		}
	}
}

// TestLeftOut takes requests out that cannot be sent, and those that need a value of theirs.
func TestLeftOut(t *testing.T) {
	const base = "http://a.test"
	long := strings.Repeat("x", 70_000)
	for _, c := range []struct {
		name string
		list []exchange
		off  string
		note string
	}{
		{"a body that is too long", []exchange{{url: base + "/a", body: long, answer: `{"id":"id-12345"}`}, {url: base + "/b/id-12345"}, {url: base + "/c"}},
			"post-a, b-id", "the request that would give it is left out"},
		{"a URL that is none", []exchange{{url: base + "/a"}, {url: "http://[::1/x"}}, "x", "missing ']' in host"},
		{"line breaks in a header", []exchange{{url: base + "/a", headers: map[string]string{"X-A": "one\r\ntwo"}}}, "", "a header is one line"},
	} {
		r, err := importer.ReadHAR(bytes.NewReader(recorded(t, c.list)), importer.Options{Name: "t"})
		if err != nil {
			t.Fatal(err)
		}
		var off []string
		for _, p := range r.Off {
			off = append(off, p.Request)
		}
		if got := strings.Join(off, ", "); got != c.off {
			t.Errorf("%s: %s is off, want %s", c.name, got, c.off)
		}
		if !strings.Contains(fmt.Sprint(r.Losses), c.note) {
			t.Errorf("%s: %q is not said in %v", c.name, c.note, r.Losses)
		}
		if flowsOn(r) > 0 {
			validates(t, r)
		}
	}
}

// flood is a recording of many megabytes that is never held as a whole, and notes how much memory its reader holds.
type flood struct {
	entries int
	buf     []byte
	begun   bool
	peak    uint64
	total   int64
}

func (f *flood) Read(p []byte) (int, error) {
	if len(f.buf) == 0 {
		switch {
		case !f.begun:
			f.begun, f.buf = true, []byte(`{"log":{"entries":[`)
		case f.entries > 0:
			f.entries--
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			f.peak = max(f.peak, m.HeapAlloc)
			answer := fmt.Sprintf(`{\"id\":\"id-%06d\",\"html\":\"`, f.entries) + strings.Repeat("x", 1<<20) + `\"}`
			f.buf = fmt.Appendf(nil, `{"request":{"url":"http://a.test/%d"},"response":{"status":200,"content":{"mimeType":"application/json","text":"%s"}}},`, f.entries, answer)
			if f.entries == 0 {
				f.buf = append(f.buf[:len(f.buf)-1], "]}}"...)
			}
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, f.buf)
	f.buf = f.buf[n:]
	f.total += int64(n)
	return n, nil
}

// TestMemory reads fifty megabytes of answers, and holds little of them.
func TestMemory(t *testing.T) {
	f := &flood{entries: 48}
	r, err := importer.ReadHAR(f, importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Flows[0].Requests); n != 48 || f.total < 48<<20 {
		t.Fatalf("%d requests of %d bytes", n, f.total)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.peak = max(f.peak, m.HeapAlloc)
	runtime.KeepAlive(r)
	t.Logf("reading %d MB held %d MB at most", f.total>>20, f.peak>>20)
	if f.peak > 36<<20 {
		t.Errorf("reading %d MB held %d MB", f.total>>20, f.peak>>20)
	}
}

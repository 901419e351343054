package importer

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// leftOut counts the entries that are not sent, by reason.
type leftOut struct {
	counts []leftReason
}

type leftReason struct {
	one, what string // what is counted: one of them, and several
	why, do   string
	n         int
	first     *visit
	kinds     map[string]int // of static files
}

// Reasons for leaving entries out. Each is one loss, however many entries it counts.
var (
	reasonStatic = leftReason{one: "static file", what: "static files",
		why: "only documents, xhr and fetch are kept by default",
		do:  "keep them with --assets, if the service under test serves them itself"}
	reasonBeacon = leftReason{one: "beacon or report of the browser", what: "beacons and reports of the browser",
		why: "only documents, xhr and fetch are kept by default", do: "keep them with --assets"}
	reasonInside = leftReason{one: "request that never left the browser", what: "requests that never left the browser",
		why: "their URLs begin with data:, blob:, about: or an extension's name", do: "leave it so"}
	reasonCached = leftReason{one: "answer out of the browser's cache", what: "answers out of the browser's cache",
		why: "nothing was sent for them",
		do:  "record again with the cache switched off, if first visits are to be tested"}
	reasonPreflight = leftReason{one: "CORS preflight", what: "CORS preflights",
		why: "the browser asks them, and not the user", do: "write them as requests if they matter to the service"}
	reasonTunnel = leftReason{one: "CONNECT request", what: "CONNECT requests",
		why: "they were for the recording proxy", do: "leave it so"}
	reasonSocket = leftReason{one: "WebSocket connection", what: "WebSocket connections",
		why: "a request block is one request and one answer", do: "use a k6 script for them"}
	reasonStream = leftReason{one: "event stream", what: "event streams",
		why: "their answers do not end", do: "use a k6 script for them"}
	reasonUnnamed = leftReason{one: "request whose URL is not absolute", what: "requests whose URL is not absolute",
		why: "nothing says where they went", do: "record them again"}
	reasonEmpty = leftReason{one: "entry without a request", what: "entries without a request",
		why: "there is no URL", do: "record again if it was one"}
	reasonCrowded = leftReason{one: "entry with millions of values", what: "entries with millions of values",
		why: "that is no request of anybody's", do: "look at what recorded it"}
	reasonMany = leftReason{one: "request behind the first 20,000", what: "requests behind the first 20,000",
		why: "more do not go into a scenario", do: "record less at once"}
	reasonElsewhere = leftReason{one: "request to another origin", what: "requests to other origins",
		why: "--base-only leaves them out", do: "leave it so"}
)

// out reports whether an entry is left out, and counts it.
func (l *leftOut) out(v *visit, e *harEntry, o Options) bool {
	why, kind := l.reason(v, e, o)
	if why != nil {
		l.count(*why, v, kind)
	}
	return why != nil
}

func (l *leftOut) count(why leftReason, v *visit, kind string) {
	i := slices.IndexFunc(l.counts, func(r leftReason) bool { return r.what == why.what })
	if i < 0 {
		why.first, why.kinds = v, map[string]int{}
		l.counts = append(l.counts, why)
		i = len(l.counts) - 1
	}
	l.counts[i].n++
	if kind != "" {
		l.counts[i].kinds[kind]++
	}
}

func (l *leftOut) reason(v *visit, e *harEntry, o Options) (why *leftReason, kind string) {
	scheme, _, ok := strings.Cut(v.url, ":")
	scheme = strings.ToLower(scheme)
	switch {
	case v.method == "CONNECT":
		return &reasonTunnel, ""
	case !ok || strings.HasPrefix(v.url, "/"):
		return &reasonUnnamed, ""
	case scheme == "ws", scheme == "wss", e.Type == "websocket", v.status == 101:
		return &reasonSocket, ""
	case scheme != "http" && scheme != "https":
		return &reasonInside, ""
	case hostless(v):
		return &reasonUnnamed, ""
	case e.FromCache != "", strings.Contains(e.FetchType, "Cache"):
		return &reasonCached, ""
	case e.Type == "preflight", v.method == "OPTIONS" && v.header("Access-Control-Request-Method") != "":
		return &reasonPreflight, ""
	case e.Type == "eventsource", strings.HasPrefix(mediaType(e), "text/event-stream"):
		return &reasonStream, ""
	}
	kind = kindOf(v, e)
	switch {
	case o.Assets, kind == "document", kind == "xhr":
		return nil, ""
	case kind == "ping":
		return &reasonBeacon, ""
	}
	return &reasonStatic, kind
}

func hostless(v *visit) bool {
	origin, _ := v.origin()
	return origin == "" || strings.HasSuffix(origin, "://")
}

// mediaType returns the media type of the answer, in lower case and without parameters.
func mediaType(e *harEntry) string {
	if e.Response == nil || e.Response.Content == nil {
		return ""
	}
	t, _, _ := strings.Cut(e.Response.Content.MIME, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// kindOf returns what an entry was for: document, xhr (fetch too), ping, or a kind of static file. Chrome says it; of
// others it is told from what the browser sent (Sec-Fetch-Dest), from the answer, and last from the URL.
func kindOf(v *visit, e *harEntry) string {
	for _, said := range []string{e.Type, v.header("Sec-Fetch-Dest")} {
		switch strings.ToLower(said) {
		case "document", "iframe", "frame":
			return "document"
		case "xhr", "fetch", "empty":
			return "xhr"
		case "ping", "csp-violation-report", "report":
			return "ping"
		case "script", "stylesheet", "style", "image", "font", "media", "audio", "video", "manifest", "texttrack", "track", "worker":
			return strings.ToLower(said)
		}
	}
	if v.header("X-Requested-With") != "" || !safe(v.method) {
		return "xhr"
	}
	if k := kindOfMedia(mediaType(e)); k != "" {
		return k
	}
	_, rest := v.origin()
	file, _, _ := strings.Cut(rest, "?")
	if k, ok := staticSuffix[strings.ToLower(path.Ext(file))]; ok {
		return k
	}
	return "xhr"
}

func kindOfMedia(t string) string {
	switch {
	case t == "text/html", t == "application/xhtml+xml":
		return "document"
	case strings.HasSuffix(t, "javascript"), t == "application/wasm", strings.HasSuffix(t, "ecmascript"):
		return "script"
	case t == "text/css":
		return "stylesheet"
	case strings.HasPrefix(t, "image/"):
		return "image"
	case strings.HasPrefix(t, "font/"), strings.HasPrefix(t, "application/font"), strings.HasPrefix(t, "application/x-font"), t == "application/vnd.ms-fontobject":
		return "font"
	case strings.HasPrefix(t, "audio/"), strings.HasPrefix(t, "video/"):
		return "media"
	case strings.HasSuffix(t, "json"), strings.HasSuffix(t, "xml"), t == "text/plain":
		return "xhr"
	}
	return ""
}

// staticSuffix says what files are by the end of their names.
var staticSuffix = map[string]string{".js": "script", ".mjs": "script", ".css": "stylesheet", ".png": "image", ".jpg": "image",
	".jpeg": "image", ".gif": "image", ".svg": "image", ".webp": "image", ".avif": "image", ".ico": "image", ".woff": "font", ".woff2": "font",
	".ttf": "font", ".otf": "font", ".eot": "font", ".mp4": "media", ".webm": "media", ".mp3": "media", ".map": "script", ".wasm": "script"}

// losses returns one loss for each reason.
func (l *leftOut) losses() []Loss {
	var out []Loss
	for _, r := range l.counts {
		where := r.first.where()
		if r.n > 1 {
			where += fmt.Sprintf(" and %d more", r.n-1)
		}
		out = append(out, Loss{Class: Lost, Where: where, Line: r.first.line, What: r.String(), Why: r.why, Do: r.do})
	}
	return out
}

func (r leftReason) String() string {
	text := fmt.Sprintf("%d %s", r.n, r.what)
	if r.n == 1 {
		text = "1 " + r.one
	}
	if len(r.kinds) == 0 {
		return text
	}
	kinds := sortedKeys(r.kinds)
	for i, k := range kinds {
		if r.n > 1 {
			kinds[i] = fmt.Sprintf("%s %d", k, r.kinds[k])
		}
	}
	return text + " (" + strings.Join(kinds, ", ") + ")"
}

// String says in one line what was left out.
func (l *leftOut) String() string {
	var parts []string
	for _, r := range l.counts {
		parts = append(parts, r.String())
	}
	return strings.Join(parts, ", ")
}

// Package browser drives a headless Chromium, for tests of pages and for pictures of them: it speaks the DevTools
// protocol over a pair of pipes, so nothing listens anywhere. It is for pages of our own only.
package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Browser is a running Chromium with one page. It is for one goroutine.
type Browser struct {
	cmd     *exec.Cmd
	to      *os.File
	from    chan message
	profile string
	session string
	number  int
	events  []message // seen while something else was waited for
	stderr  *tail
}

// patience bounds how long any one answer is waited for.
const patience = 60 * time.Second

// message is one of the protocol: a command, its answer, or an event.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// ErrMissing says that this machine has no Chromium.
var ErrMissing = errors.New("no chromium on this machine (tools/setup installs it)")

// Find returns where Chromium is, or ErrMissing.
func Find() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "/usr/bin/chromium"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrMissing
}

// Start starts a Chromium with an empty page, which may reach nothing but files.
func Start(ctx context.Context) (*Browser, error) { return start(ctx, "MAP * ~NOTFOUND") }

// StartLoopback starts one that may reach servers on 127.0.0.1 too.
func StartLoopback(ctx context.Context) (*Browser, error) {
	return start(ctx, "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
}

// start starts one that finds hosts by rules.
func start(ctx context.Context, hosts string) (*Browser, error) {
	path, err := Find()
	if err != nil {
		return nil, err
	}
	profile, err := os.MkdirTemp("", "gameday-browser-")
	if err != nil {
		return nil, fmt.Errorf("making the browser's profile: %w", err)
	}
	b := &Browser{profile: profile, from: make(chan message, 256), stderr: &tail{}}
	// Pages are this repository's own: the sandbox, which root cannot have, guards against nobody here.
	b.cmd = exec.CommandContext(ctx, path, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
		"--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-extensions",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--host-resolver-rules="+hosts, "--force-color-profile=srgb", "--font-render-hinting=none",
		"--user-data-dir="+profile, "about:blank")
	b.cmd.Stderr = b.stderr
	if err := b.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w%s", path, err, b.stderr.words()), b.Close())
	}
	return b, nil
}

// begin starts the process and takes hold of its page.
func (b *Browser) begin() error {
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		return err
	}
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		return errors.Join(err, theirIn.Close(), ourOut.Close())
	}
	b.to, b.cmd.ExtraFiles = ourOut, []*os.File{theirIn, theirOut} // 3 and 4 there
	err = b.cmd.Start()
	_, _ = theirIn.Close(), theirOut.Close()
	go b.listen(ourIn)
	if err != nil {
		return err
	}
	var targets struct {
		TargetInfos []struct{ TargetID, Type string }
	}
	if err := b.call("Target.getTargets", nil, &targets); err != nil {
		return err
	}
	for _, t := range targets.TargetInfos {
		if t.Type != "page" {
			continue
		}
		var attached struct{ SessionID string }
		if err := b.call("Target.attachToTarget", map[string]any{"targetId": t.TargetID, "flatten": true}, &attached); err != nil {
			return err
		}
		b.session = attached.SessionID
		return errors.Join(b.call("Page.enable", nil, nil), b.call("Network.enable", nil, nil))
	}
	return errors.New("it has no page")
}

// listen reads messages, which end with a NUL, until the pipe ends.
func (b *Browser) listen(pipe io.ReadCloser) {
	defer close(b.from)
	defer pipe.Close()
	in := bufio.NewReader(pipe)
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &m) == nil {
			b.from <- m
		}
	}
}

// call sends a command and decodes its answer.
func (b *Browser) call(method string, params, into any) error {
	b.number++
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	if params == nil {
		raw = []byte("{}")
	}
	text, err := json.Marshal(message{ID: b.number, Session: b.session, Method: method, Params: raw})
	if err != nil {
		return err
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	m, err := b.await(func(m message) bool { return m.ID == b.number })
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", method, err)
	case m.Error != nil:
		return fmt.Errorf("%s: %s", method, m.Error.Message)
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(m.Result, into); err != nil {
		return fmt.Errorf("%s: reading the answer: %w", method, err)
	}
	return nil
}

// await waits for a message, and keeps the events that come before it.
func (b *Browser) await(want func(message) bool) (message, error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case m, ok := <-b.from:
			if !ok {
				return message{}, errors.New("the browser is gone")
			}
			if want(m) {
				return m, nil
			}
			if m.ID == 0 {
				b.events = append(b.events, m)
			}
		case <-late.C:
			return message{}, fmt.Errorf("no answer in %s", patience)
		}
	}
}

// Screen is what a page is shown on.
type Screen struct {
	Width, Height int
	Dark          bool
	Print         bool    // as on paper
	Still         bool    // whoever looks asked for less motion
	Scale         float64 // pixels of a picture for one of the page; 0 is 1
}

// Show sets the screen.
func (b *Browser) Show(s Screen) error {
	scheme, media, motion := "light", "screen", "no-preference"
	if s.Dark {
		scheme = "dark"
	}
	if s.Print {
		media = "print"
	}
	if s.Still {
		motion = "reduce"
	}
	scale := s.Scale
	if scale == 0 {
		scale = 1
	}
	return errors.Join(
		b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": s.Width, "height": s.Height,
			"deviceScaleFactor": scale, "mobile": s.Width < 500}, nil),
		b.call("Emulation.setEmulatedMedia", map[string]any{"media": media, "features": []map[string]string{
			{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion}}}, nil))
}

// Open shows a file, and waits until it is loaded. It returns the addresses that the page asked for beside its own.
func (b *Browser) Open(path string) (fetched []string, err error) { return b.Visit("file://" + path) }

// Visit is Open for any address that the browser may reach.
func (b *Browser) Visit(address string) (fetched []string, err error) {
	b.events = nil
	if err := b.call("Page.navigate", map[string]any{"url": address}, nil); err != nil {
		return nil, err
	}
	loaded := func(m message) bool { return m.Method == "Page.loadEventFired" }
	seen := false
	for _, m := range b.events {
		seen = seen || loaded(m)
	}
	if !seen {
		if _, err := b.await(loaded); err != nil {
			return nil, fmt.Errorf("loading %s: %w", address, err)
		}
	}
	for _, m := range b.events {
		var sent struct{ Request struct{ URL string } }
		if m.Method == "Network.requestWillBeSent" && json.Unmarshal(m.Params, &sent) == nil && sent.Request.URL != address {
			fetched = append(fetched, sent.Request.URL)
		}
	}
	return fetched, nil
}

// Eval runs JavaScript in the page and decodes what it comes to, after it has come to it when that is a promise.
func (b *Browser) Eval(script string, into any) error {
	var answer struct {
		Result    struct{ Value json.RawMessage }
		Exception *struct {
			Text      string
			Exception struct{ Description string }
		} `json:"exceptionDetails"`
	}
	err := b.call("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true},
		&answer)
	switch {
	case err != nil:
		return err
	case answer.Exception != nil:
		return fmt.Errorf("the page: %s %s", answer.Exception.Text, answer.Exception.Exception.Description)
	case into == nil || len(answer.Result.Value) == 0:
		return nil
	}
	return json.Unmarshal(answer.Result.Value, into)
}

// Until waits until something is true in the page, for so long at most. What goes wrong while it is looked at counts as false. The error has
// what the page says in it.
func (b *Browser) Until(what string, most time.Duration) error {
	// The page itself waits, so that there is no looking again and again from here.
	script := fmt.Sprintf(`new Promise(done => { const began = performance.now(), look = () => { try { if (%s) return done("") } catch (e) {}
		performance.now() - began > %d ? done(document.body.innerText || "nothing") : setTimeout(look, 50) }; look() })`, what, most.Milliseconds())
	var text string
	if err := b.Eval(script, &text); err != nil {
		return fmt.Errorf("waiting for %s: %w", what, err)
	}
	if text != "" {
		return fmt.Errorf("%s is not so after %s; the page says\n%s", what, most, text)
	}
	return nil
}

// Press presses a key, as "Tab" or "Enter".
func (b *Browser) Press(key string) error {
	code := map[string]int{"Tab": 9, "Enter": 13}[key]
	text := map[string]string{"Enter": "\r"}[key]
	var errs []error
	for _, kind := range []string{"keyDown", "keyUp"} {
		errs = append(errs, b.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": key, "code": key, "text": text,
			"windowsVirtualKeyCode": code}, nil))
		text = ""
	}
	return errors.Join(errs...)
}

// Picture returns a part of the page as a PNG; without a clip, what is on the screen.
func (b *Browser) Picture(clip *Clip) ([]byte, error) {
	params := map[string]any{"format": "png", "captureBeyondViewport": clip != nil}
	if clip != nil {
		params["clip"] = clip
	}
	return b.data("Page.captureScreenshot", params)
}

// Clip is a part of a page, in its own pixels. Scale is 1, or how much larger the picture is.
type Clip struct {
	X      float64 `json:"x"`
	Y      float64 `json:"y"`
	Width  float64 `json:"width"`
	Height float64 `json:"height"`
	Scale  float64 `json:"scale"`
}

// Paper returns the page as it is printed on A4, as a PDF.
func (b *Browser) Paper() ([]byte, error) {
	return b.data("Page.printToPDF", map[string]any{"paperWidth": 8.27, "paperHeight": 11.69, "marginTop": 0.5,
		"marginBottom": 0.5, "marginLeft": 0.5, "marginRight": 0.5})
}

func (b *Browser) data(method string, params map[string]any) ([]byte, error) {
	var answer struct{ Data string }
	if err := b.call(method, params, &answer); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(answer.Data)
}

// Close ends the browser and removes what it kept.
func (b *Browser) Close() error {
	if b.to != nil {
		if b.cmd.Process != nil {
			b.session = ""
			_ = b.call("Browser.close", nil, nil) // the pipe's end says the same
		}
		_ = b.to.Close()
	}
	if b.cmd.Process != nil {
		ended := make(chan struct{})
		go func() { _ = b.cmd.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = b.cmd.Process.Kill()
			<-ended
		}
	}
	return os.RemoveAll(b.profile)
}

// tail keeps the end of what was written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-2000):]
	return len(p), nil
}

func (t *tail) words() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := strings.TrimSpace(string(t.text)); text != "" {
		return "; it said: " + text
	}
	return ""
}

package browser

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// begun starts a browser, and skips the test where there is none, but in CI.
func begun(t *testing.T) *Browser {
	t.Helper()
	if testing.Short() {
		t.Skip("it starts a browser")
	}
	b, err := Start(context.Background())
	if errors.Is(err, ErrMissing) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPage shows a page, and checks that what is said of it is so: what it fetched, what it is shown on, what scripts in it
// come to, and how large its picture is.
func TestPage(t *testing.T) {
	b := begun(t)
	defer b.Close()
	dir := t.TempDir()
	page := filepath.Join(dir, "page.html")
	if err := os.WriteFile(page, []byte(`<meta name="viewport" content="width=device-width"><title>x</title><img src="beside.png"><img src="http://127.0.0.1:9/far.png"><div style="height:3000px">`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := b.Show(Screen{Width: 400, Height: 600, Dark: true}); err != nil {
		t.Fatal(err)
	}
	fetched, err := b.Open(page)
	if want := []string{"file://" + filepath.Join(dir, "beside.png"), "http://127.0.0.1:9/far.png"}; err != nil || !slices.Equal(fetched, want) {
		t.Errorf("fetched %q, %v; want %q", fetched, err, want)
	}
	var seen struct {
		Width, Height int
		Dark, Paper   bool
	}
	err = b.Eval(`new Promise(done => setTimeout(() => done({width: innerWidth, height: innerHeight,
		dark: matchMedia("(prefers-color-scheme: dark)").matches, paper: matchMedia("print").matches}), 10))`, &seen)
	if err != nil || seen.Width != 400 || seen.Height != 600 || !seen.Dark || seen.Paper {
		t.Errorf("shown on %+v, %v", seen, err)
	}
	for script, want := range map[string]string{`nobody.knows`: "nobody is not defined",
		`Promise.reject(new Error("gave up"))`: "gave up"} {
		if err := b.Eval(script, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", script, err)
		}
	}
	png := []byte("\x89PNG\r\n\x1a\n")
	for _, clip := range []*Clip{nil, {Width: 400, Height: 900, Scale: 1}} {
		if data, err := b.Picture(clip); err != nil || !bytes.HasPrefix(data, png) {
			t.Errorf("a picture of %d bytes, %v", len(data), err)
		}
	}
}

// TestClose checks that nothing is left: no process and no file.
func TestClose(t *testing.T) {
	b := begun(t)
	pid := b.cmd.Process.Pid
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", pid, err)
	}
	if _, err := os.Stat(b.profile); !os.IsNotExist(err) {
		t.Errorf("the profile is still there: %v", err)
	}
	if err := b.Eval("1", nil); err == nil {
		t.Error("a browser that was closed answers")
	}
}

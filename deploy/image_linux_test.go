package deploy

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/internal/dockerrig"
)

// user is whom the image runs as.
const user = 65532

// imageRoot makes the root of the image, as the Containerfile does.
func imageRoot(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	c := exec.Command("make", "-C", "..", "image-root", "IMAGE_ROOT="+root)
	c.Env = append(os.Environ(), "MAKEFLAGS=")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("making the root of the image: %v\n%s", err, out)
	}
	return root
}

// imported makes the image "gameday" of the root, with the settings of the Containerfile.
func imported(t *testing.T, e *dockerrig.Engine) {
	t.Helper()
	lines, err := dockerrig.Settings("../Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	if want := settings(t); !slices.Equal(lines, want) {
		t.Fatalf("the Containerfile says %q, of which %q were read", want, lines)
	}
	if err := e.ImportRoot(t.Context(), "gameday", imageRoot(t), lines...); err != nil {
		t.Fatal(err)
	}
}

// contained is one run of the image.
type contained struct {
	as     []string // in place of the image's entry point; empty for that
	args   []string
	beside string   // the container whose network it shares; empty for none
	binds  []string // "outside:inside:ro"
}

// restricted creates and starts a container as a pod of the profile "restricted" is started, with a root that is read-only.
func restricted(t *testing.T, e *dockerrig.Engine, c contained) (id string) {
	t.Helper()
	host := map[string]any{"NetworkMode": "none", "ReadonlyRootfs": true, "CapDrop": []string{"ALL"}, "SecurityOpt": []string{"no-new-privileges"}, "Binds": c.binds}
	if c.beside != "" {
		host["NetworkMode"] = "container:" + c.beside
	}
	var made struct{ ID string }
	settings := map[string]any{"Image": "gameday", "Cmd": c.args, "HostConfig": host}
	if len(c.as) > 0 {
		settings["Entrypoint"] = c.as
	}
	if err := e.Call(t.Context(), "POST", "/containers/create", settings, &made); err != nil {
		t.Fatal(err)
	}
	if err := e.Call(t.Context(), "POST", "/containers/"+made.ID+"/start", nil, nil); err != nil {
		t.Fatal(err)
	}
	return made.ID
}

// ended waits for a container and returns its exit code and what it printed.
func ended(t *testing.T, e *dockerrig.Engine, id string) (code int, printed string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*15*time.Second)
	defer cancel()
	var over struct{ StatusCode int }
	if err := e.Call(ctx, "POST", "/containers/"+id+"/wait", nil, &over); err != nil {
		t.Fatalf("%v; it printed:\n%s", err, log(t, e, id))
	}
	return over.StatusCode, log(t, e, id)
}

// log returns what a container has printed.
func log(t *testing.T, e *dockerrig.Engine, id string) string {
	t.Helper()
	text, err := e.LogOf(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// mounted lays files out as the kubelet does those of a ConfigMap: links to a link to a folder of the time. Scenarios must be
// found through them.
func mounted(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	const now = "..2026_01_02_03_04_05.123456789"
	if err := os.Mkdir(filepath.Join(dir, now), 0o755); err != nil {
		t.Fatal(err)
	}
	link := func(to, from string) {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	link(now, "..data")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		if err := os.WriteFile(filepath.Join(dir, now, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
		link(filepath.Join("..data", name), name)
	}
	return dir
}

// volume is an empty folder that the image's user owns, as a volume is with fsGroup.
func volume(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chown(dir, user, user); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestImage makes the image and runs it, in a real Docker Engine, as Kubernetes runs it under the profile "restricted".
func TestImage(t *testing.T) {
	if testing.Short() {
		t.Skip("links programs and starts an engine")
	}
	e := dockerrig.ForTest(t)
	imported(t, e)

	t.Run("version", func(t *testing.T) {
		code, printed := ended(t, e, restricted(t, e, contained{args: []string{"--version"}}))
		if code != 0 || !strings.HasPrefix(printed, "gameday version ") {
			t.Errorf("exit code %d:\n%s", code, printed)
		}
	})
	t.Run("k6", func(t *testing.T) { // as the k6 operator calls it, without a collector
		code, printed := ended(t, e, restricted(t, e, contained{as: []string{"k6"}, args: []string{"version"}}))
		if code != 0 || !strings.HasPrefix(printed, "gameday-k6 v2.") {
			t.Errorf("exit code %d:\n%s", code, printed)
		}
	})
	scenario := mounted(t, "testdata/image/day.hcl", "../examples/shop/browse.js", "../examples/shop/lib.js")
	t.Run("validate", func(t *testing.T) {
		code, printed := ended(t, e, restricted(t, e, contained{args: []string{"validate", "/scenario/day.hcl"}, binds: []string{scenario + ":/scenario:ro"}}))
		if code != 0 {
			t.Errorf("exit code %d:\n%s", code, printed)
		}
	})
	shop := beside(t, e)
	t.Run("run", func(t *testing.T) {
		data := volume(t)
		id := restricted(t, e, contained{args: []string{"run", "--record", "/var/lib/gameday/runs/one", "/scenario/day.hcl"}, beside: shop,
			binds: []string{scenario + ":/scenario:ro", data + ":/var/lib/gameday"}})
		code, printed := ended(t, e, id)
		if code != 0 || !strings.Contains(printed, "PASSED") {
			t.Errorf("exit code %d:\n%s", code, printed)
		}
		owned(t, filepath.Join(data, "runs/one/record.jsonl"))
		owned(t, filepath.Join(data, "ledger"))
	})
	t.Run("stop", func(t *testing.T) { stopped(t, e, shop, scenario) })
}

// stopped stops a run as the kubelet does, by SIGTERM and a period of grace. gameday is the first process of its container, which
// the kernel ends by no signal that it does not handle.
func stopped(t *testing.T, e *dockerrig.Engine, shop, scenario string) {
	data := volume(t)
	id := restricted(t, e, contained{args: []string{"run", "--record", "/var/lib/gameday/runs/two", "/scenario/day.hcl"}, beside: shop,
		binds: []string{scenario + ":/scenario:ro", data + ":/var/lib/gameday"}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := dockerrig.Poll(ctx, func() (bool, error) { return strings.Contains(log(t, e, id), "baseline"), nil }); err != nil {
		t.Fatalf("the baseline did not begin: %v\n%s", err, log(t, e, id))
	}
	if err := e.Call(t.Context(), "POST", "/containers/"+id+"/stop?t=60", nil, nil); err != nil {
		t.Fatal(err)
	}
	code, printed := ended(t, e, id)
	if code != 4 || !strings.Contains(printed, "ABORTED") {
		t.Errorf("exit code %d:\n%s", code, printed)
	}
	owned(t, filepath.Join(data, "runs/two/report.html"))
}

// beside starts the shop's storefront in a container whose network others join.
func beside(t *testing.T, e *dockerrig.Engine) string {
	t.Helper()
	if err := e.Import(t.Context(), "shop", "../bin/shop"); err != nil {
		t.Fatal(err)
	}
	id, err := e.Run(t.Context(), dockerrig.Container{Name: "shop", Image: "shop", Command: []string{"/shop", "storefront"},
		Hosts: []string{"storefront:127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// owned looks that a file is there and the image's user's.
func owned(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Error(err)
		return
	}
	if by := info.Sys().(*syscall.Stat_t).Uid; by != user {
		t.Errorf("%s belongs to user %d", path, by)
	}
}

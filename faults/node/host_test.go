package node

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/internal/scriptrig"
)

const (
	oldBoot = "11111111-aaaa-bbbb-cccc-000000000001"
	newBoot = "22222222-aaaa-bbbb-cccc-000000000002"
)

// fakeHost is a host as ssh shows it: a folder whose files say what the host does.
//
//	boot   the boot id; without it the host is not reached
//	units  what follows the boot id
//	after  what becomes of boot when the host was told
type fakeHost struct {
	t   *testing.T
	dir string
}

func newFakeHost(t *testing.T) fakeHost {
	t.Helper()
	h := fakeHost{t, t.TempDir()}
	script := fmt.Sprintf(`#!/bin/sh
cd %q
[ -e boot ] || { echo "connect to host web1 port 22: Connection refused" >&2; exit 255; }
case "$*" in
*ordered*)
  [ ! -e refuse ] || { echo "Access denied" >&2; exit 1; }
  echo "$*" >>told; echo ordered
  [ ! -e after ] || mv after boot || exit 255
  [ ! -e gone ] || rm boot
  exit 255 ;;
*sysrq-trigger*) [ ! -e unable ] || { cat unable >&2; exit 1; }; echo none ;;
*) echo >>asked; cat boot; [ ! -e units ] || cat units ;;
esac
`, h.dir)
	scriptrig.Write(t, filepath.Join(h.dir, "ssh"), script)
	t.Setenv("PATH", h.dir+":"+os.Getenv("PATH"))
	h.set("boot", oldBoot)
	return h
}

func (h fakeHost) set(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.WriteFile(path+".new", []byte(text+"\n"), 0o644); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		h.t.Fatal(err)
	}
}

// asked returns how often the host was asked what it is at.
func (h fakeHost) asked() int {
	h.t.Helper()
	lines, err := os.ReadFile(filepath.Join(h.dir, "asked"))
	if err != nil {
		h.t.Fatal(err)
	}
	return len(lines)
}

func hostPlace(sudo bool) faults.Place {
	return faults.Place{Name: "web", Host: "web1", Node: &faults.Node{Name: "web1", BootID: oldBoot,
		SSH: &faults.SSH{Destination: "web1", Sudo: sudo}}}
}

// start restarts the fake host.
func (h fakeHost) start(ctx context.Context, r *Restart) (*hostRestart, json.RawMessage, error) {
	h.t.Helper()
	i, err := r.Bind(hostPlace(false))
	if err != nil {
		h.t.Fatal(err)
	}
	in := i.(*hostRestart)
	if err := in.Check(ctx); err != nil {
		return in, nil, err
	}
	undo, err := in.Undo(ctx)
	if err != nil {
		return in, undo, err
	}
	return in, undo, in.Inject(ctx, time.Second)
}

func TestHostRestart(t *testing.T) {
	h := newFakeHost(t)
	h.set("after", newBoot)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	in, undo, err := h.start(ctx, &Restart{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := in.Effect(ctx)
	if err != nil || !e.Proven || e.Details["boot_id"] != oldBoot || e.Details["new_boot_id"] != newBoot {
		t.Fatalf("%+v, %v", e, err)
	}
	h.set("units", "system starting")
	watching, giveUp := context.WithTimeout(ctx, 200*time.Millisecond)
	defer giveUp()
	if e, err := in.Watch(watching); err == nil {
		t.Errorf("a host that is starting is back: %+v", e)
	}
	h.set("units", "system degraded")
	if e, err := in.Watch(ctx); err != nil || !e.Proven || !strings.Contains(e.Summary, "degraded") || e.Details["new_boot_id"] != newBoot {
		t.Errorf("%+v, %v", e, err)
	}
	for range 2 {
		if err := revert(ctx, faults.Entry{Undo: undo}); err != nil {
			t.Errorf("reverting: %v", err)
		}
	}
}

// TestHostGone does not come back: the effect is proven, and reverting says what to do until it answers.
func TestHostGone(t *testing.T) {
	h := newFakeHost(t)
	h.set("gone", "")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	in, undo, err := h.start(ctx, &Restart{How: "power", BootsWithin: "2s"})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := in.Effect(ctx); err != nil || !e.Proven || !strings.Contains(e.Summary, "web1 is down") {
		t.Fatalf("%+v, %v", e, err)
	}
	if told, err := os.ReadFile(filepath.Join(h.dir, "told")); err != nil || !strings.Contains(string(told), "sysrq-trigger") {
		t.Errorf("it was told %q, %v", told, err)
	}
	if _, err := in.Watch(ctx); err == nil || !strings.Contains(err.Error(), "not back 2s after") || !strings.Contains(err.Error(), "console") {
		t.Errorf("%v", err)
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if err := revert(short, faults.Entry{Undo: undo}); err == nil || !strings.Contains(err.Error(), "has not come back yet") {
		t.Errorf("%v", err)
	}
	h.set("boot", newBoot)
	if err := revert(ctx, faults.Entry{Undo: undo}); err != nil {
		t.Errorf("%v", err)
	}
}

// TestHostRefuses says no when it is told, or goes on as if nothing had been said.
func TestHostRefuses(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	h := newFakeHost(t)
	h.set("refuse", "")
	if _, _, err := h.start(ctx, &Restart{}); err == nil || !strings.Contains(err.Error(), "Access denied") {
		t.Errorf("%v", err)
	}

	h = newFakeHost(t) // the connection ends, the host does not
	in, undo, err := h.start(ctx, &Restart{})
	if err != nil {
		t.Fatal(err)
	}
	looksUnproven(t, in, "still serves boot id")
	if err := revert(ctx, faults.Entry{Undo: undo}); err != nil {
		t.Errorf("a host that was not restarted: %v", err)
	}
	h.set("units", "system stopping")
	enough := h.asked() + 2 + int(settles/askEvery) // by then a host that just goes on with its old boot is taken for reverted
	while, cancel := context.WithCancel(ctx)
	defer cancel()
	reverted := make(chan error, 1)
	go func() { reverted <- revert(while, faults.Entry{Undo: undo}) }()
	for tick := time.NewTicker(pollStep); h.asked() < enough && len(reverted) == 0 && ctx.Err() == nil; {
		<-tick.C
	}
	cancel()
	if err := <-reverted; err == nil || !strings.Contains(err.Error(), "going down") {
		t.Errorf("a host that is going down: %v", err)
	}
}

// looksUnproven looks at an effect, for longer each time, until it is seen as far as the words say. It is never proven.
func looksUnproven(t *testing.T, i faults.Injection, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for limit := 200 * time.Millisecond; ; limit *= 2 {
		look, giveUp := context.WithTimeout(ctx, limit)
		e, err := i.Effect(look)
		giveUp()
		if err != nil || e.Proven || ctx.Err() != nil {
			t.Errorf("%+v, %v, want %q", e, err, want)
			return
		}
		if strings.Contains(e.Summary, want) {
			return
		}
	}
}

// TestHostUnfit is not told at all.
func TestHostUnfit(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	h := newFakeHost(t)
	h.set("unable", "user deploy may not: it takes root")
	if _, _, err := h.start(ctx, &Restart{}); err == nil || !strings.Contains(err.Error(), "sudo = true") {
		t.Errorf("no root: %v", err)
	}
	h = newFakeHost(t)
	if _, _, err := h.start(ctx, &Restart{Units: []string{"nginx.service"}}); err == nil || !strings.Contains(err.Error(), "does not run systemd") {
		t.Errorf("no systemd: %v", err)
	}
	h = newFakeHost(t)
	if id, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		h.set("boot", strings.TrimSpace(string(id)))
		if _, _, err := h.start(ctx, &Restart{}); err == nil || !strings.Contains(err.Error(), "is this machine") {
			t.Errorf("this machine: %v", err)
		}
	}
	if err := os.Remove(filepath.Join(h.dir, "boot")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.start(ctx, &Restart{}); err == nil || !strings.Contains(err.Error(), "Connection refused") {
		t.Errorf("no host: %v", err)
	}
	if told, err := os.ReadFile(filepath.Join(h.dir, "told")); err == nil {
		t.Errorf("it was told %q", told)
	}
}

func TestHostSettings(t *testing.T) {
	for name, r := range map[string]Restart{"how": {How: "kexec"}, "boots_within": {BootsWithin: "soon"}, "units": {Units: []string{"-x"}}} {
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), name+":") {
			t.Errorf("%+v: %v", r, err)
		}
	}
	r := Restart{How: "power", BootsWithin: "90s", Units: []string{"nginx.service"}}
	if err := r.Validate(); err != nil || r.Overdue() != 90*time.Second {
		t.Errorf("%v, %v", r.Overdue(), err)
	}
	if got := r.Preview(hostPlace(true)); !strings.Contains(got, "power cut of host web1") || !strings.Contains(got, "lost") {
		t.Errorf("preview %q", got)
	}
	var all []string
	for _, s := range []hostState{{units: []string{"a.service active", "b.service failed"}}, {units: []string{"system initializing"}}, {}} {
		all = append(all, strings.Join(s.waiting(), ", "))
	}
	if got := strings.Join(all, "|"); got != "b.service is failed|system is initializing|" {
		t.Errorf("waiting for %q", got)
	}
}

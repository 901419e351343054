package main

import (
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/internal/portrig"
)

// startPostgres plays a real PostgreSQL, and returns its address.
func startPostgres(t *testing.T, args ...string) (address, data string) {
	t.Helper()
	if _, err := pgPrograms(pgFolders); err != nil {
		cannot(t, "%v", err)
	}
	port, data := portrig.Keep(t), filepath.Join(t.TempDir(), "data")
	play(t, postgresRole, append(args, "-data", data, "-port", strconv.Itoa(port))...)
	until(t, "PostgreSQL listens", func() bool { return listens(port) })
	return "127.0.0.1:" + strconv.Itoa(port), data
}

// salesWorld is how the connections of a shop's sales are shared and limited.
type salesWorld struct {
	name    string
	apart   bool // reports have connections of their own
	timeout time.Duration
	wait    time.Duration
	orders  bool // go on
}

// salesWorlds are one in which reports take orders with them, and one in which they do not.
var salesWorlds = []salesWorld{
	{"shared, for ever", false, 0, 0, false},
	{"apart, with limits", true, 400 * time.Millisecond, 200 * time.Millisecond, true},
}

// open opens the connections.
func (w salesWorld) open(t *testing.T, address string) *sales {
	t.Helper()
	orders, err := pgPool(address, 3, w.timeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = orders.Close() })
	s := &sales{orders: orders, reports: orders, wait: w.wait}
	if w.apart {
		if s.reports, err = pgPool(address, 2, w.timeout); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.reports.Close() })
	}
	return s
}

// lockedReports is how many reports are asked for of a table that is locked.
const lockedReports = 6

// A report that hangs takes orders with it when both share their connections and nothing gives up.
func TestLockedTable(t *testing.T) {
	address, _ := startPostgres(t, "-schema", "sales")
	admin, err := pgPool(address, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	until(t, "PostgreSQL answers", func() bool { return admin.Ping() == nil })
	for _, w := range salesWorlds {
		t.Run(w.name, func(t *testing.T) { w.locked(t, admin, w.open(t, address)) })
	}
}

// locked asks for reports and for an order while the table is locked, and when it no longer is.
func (w salesWorld) locked(t *testing.T, admin *sql.DB, s *sales) {
	h := s.routes()
	for _, path := range []string{"/orders/7", "/reports/3"} { // the first query of a new connection takes a busy machine longer than it may
		until(t, path+" is answered before anything is locked", func() bool { return answered(t, h, "GET", path, nil) == http.StatusOK })
	}
	lock, err := admin.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec("lock table sales in access exclusive mode"); err != nil {
		t.Fatal(err)
	}
	codes := make(chan int, lockedReports+1)
	for range lockedReports {
		go func() { codes <- answered(t, h, "GET", "/reports/3", nil) }()
	}
	until(t, "reports wait for the lock", func() bool {
		n := s.reports.Stats()
		return n.InUse == n.MaxOpenConnections || len(codes) == lockedReports
	})
	order := make(chan int, 1)
	go func() { order <- answered(t, h, "GET", "/orders/7", nil) }()
	if w.orders {
		if got := <-order; got != http.StatusOK {
			t.Errorf("an order is answered %d", got)
		}
		for range lockedReports {
			if got := <-codes; got != http.StatusServiceUnavailable {
				t.Errorf("a report is answered %d", got)
			}
		}
	} else {
		until(t, "an order waits too", func() bool { return s.orders.Stats().WaitCount > lockedReports-3 })
		if len(order) > 0 || len(codes) > 0 {
			t.Errorf("%d orders and %d reports were answered all the same", len(order), len(codes))
		}
	}
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	if !w.orders {
		for range lockedReports {
			if got := <-codes; got != http.StatusOK {
				t.Errorf("afterwards a report is answered %d", got)
			}
		}
		if got := <-order; got != http.StatusOK {
			t.Errorf("afterwards an order is answered %d", got)
		}
	}
}

// A replica that stops replaying answers from the past; who looks at its lag reads from the primary meanwhile.
func TestReplicaLags(t *testing.T) {
	primary, _ := startPostgres(t, "-schema", "notes")
	replica, data := startPostgres(t, "-follow", primary)
	world := func(limit time.Duration) *notes {
		n, err := newNotes(primary, replica, limit, 3)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = n.close() })
		if time.Duration(n.lag.Load()) != lagUnknown {
			t.Error("the lag is known before it is measured, so a replica that still starts up counts as one that keeps up")
		}
		go n.watch(t.Context())
		return n
	}
	careful, careless := world(300*time.Millisecond), world(0)
	lag := func(n *notes) time.Duration { return time.Duration(n.lag.Load()) }
	late := func(n *notes) bool { return lag(n) > lagLate && lag(n) != lagUnknown }
	// note writes a note, and returns who reads it back. It does so again when a busy database took longer than either waits for it.
	note := func(n *notes) (code int, from string) {
		t.Helper()
		until(t, "a note is written and looked for", func() bool {
			var wrote struct{ ID int }
			switch code := answered(t, n.routes(), "POST", "/notes", &wrote); code {
			case http.StatusCreated:
			case http.StatusServiceUnavailable:
				return false
			default:
				t.Fatalf("writing is answered %d", code)
			}
			var got struct{ From string }
			code = answered(t, n.routes(), "GET", "/notes/"+strconv.Itoa(wrote.ID), &got)
			from = got.From
			return code != http.StatusServiceUnavailable
		})
		return code, from
	}
	fresh := func() bool { return lag(careful) < 200*time.Millisecond && lag(careless) < 200*time.Millisecond }
	until(t, "the replica keeps up", fresh)

	replay := startupOf(t, data)
	if err := syscall.Kill(replay, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(replay, syscall.SIGCONT) }()
	until(t, "both see the lag", func() bool { return late(careful) && late(careless) })
	if code, from := note(careful); code != http.StatusOK || from != "primary" {
		t.Errorf("who looks at the lag gets %d from %q", code, from)
	}
	if code, _ := note(careless); code != http.StatusNotFound {
		t.Errorf("who does not look gets %d", code)
	}
	var state struct{ Late bool }
	if answered(t, careless.routes(), "GET", "/lag", &state); !state.Late {
		t.Error("the lag is not late")
	}
	if err := syscall.Kill(replay, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	until(t, "the replica has caught up", fresh)
	until(t, "reads come from the replica again", func() bool { _, from := note(careful); return from == "replica" })
}

// startupOf finds the process that replays a replica's log: a child of the server whose data these are.
func startupOf(t *testing.T, data string) int {
	t.Helper()
	found := 0
	until(t, "the replica replays", func() bool {
		text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
		if err != nil {
			return false
		}
		server, _, _ := strings.Cut(string(text), "\n")
		children, err := os.ReadFile(filepath.Join("/proc", server, "task", server, "children"))
		if err != nil {
			return false
		}
		for _, pid := range strings.Fields(string(children)) {
			name, _ := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
			if strings.HasPrefix(string(name), "postgres: startup") {
				found, err = strconv.Atoi(pid)
				return err == nil
			}
		}
		return false
	})
	return found
}

func TestPgPrograms(t *testing.T) {
	dir := t.TempDir()
	pattern := filepath.Join(dir, "*", "bin")
	if _, err := pgPrograms(pattern); err == nil || !strings.Contains(err.Error(), "install the package postgresql") {
		t.Errorf("without any: %v", err)
	}
	for _, version := range []string{"9", "15", "16"} {
		if err := os.MkdirAll(filepath.Join(dir, version, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
		if version == "16" {
			continue // its server is not installed, only its client
		}
		if err := os.WriteFile(filepath.Join(dir, version, "bin", "initdb"), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	got, err := pgPrograms(pattern)
	if want := filepath.Join(dir, "15", "bin"); err != nil || got != want {
		t.Errorf("pgPrograms is %q, %v, want %q", got, err, want)
	}
}

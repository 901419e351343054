package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gameday/internal/bound"
	"gameday/internal/crowd"
	"gameday/report"
)

const (
	roomObservers = 500
	roomLimit     = 1.0  // per cent of a processor for fifty
	roomLater     = 1.25 // how much later faults may be
	roomFlood     = 10_000
)

// looked is what observers of a room saw of what they cost it.
type looked struct {
	CPU      time.Duration `json:"cpu"` // of the room
	Took     time.Duration `json:"took"`
	Told     float64       `json:"told"`      // a second, each
	Bytes    float64       `json:"bytes"`     // a second, each
	Gone     int64         `json:"gone"`      // who was hung up on
	MostRAM  uint64        `json:"most_ram"`  // of the room, bytes
	Answered float64       `json:"answered"`  // of a flood, a second
	Refused  float64       `json:"refused"`   // a share of those
	FloodCPU time.Duration `json:"flood_cpu"` // of the room, in FloodFor
	FloodFor time.Duration `json:"flood_for"`
}

// room measures the room of a run that 500 look at, and how late the run's faults are beside those of the same run without; and then with
// strangers who ask the room ten thousand times a second.
func (b *bench) room(ctx context.Context) (rows []row, err error) {
	victims, err := b.start(roleSupervisor, fmt.Sprint(victims))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, victims.stop()) }()
	count := 150
	if b.quick {
		count = 60
	}
	kinds := []string{"alone", "observers", "flood"}
	late, share, told, kb, flood, ram := map[string]spread{}, spread{}, spread{}, spread{}, spread{}, spread{}
	for round := range b.rounds {
		for n := range kinds {
			kind := kinds[(n+round)%len(kinds)]
			s, l, err := b.runRoom(ctx, kind, count)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", kind, err)
			}
			late[kind] = append(late[kind], s.late.quantile(0.99))
			b.say("round %d, %s: faults late by %.2f ms (p99 of %d)", round+1, kind, s.late.quantile(0.99), len(s.late))
			switch kind {
			case "observers":
				if l.Gone > 0 {
					return nil, fmt.Errorf("%d of %d observers were hung up on", l.Gone, roomObservers)
				}
				share = append(share, 100*float64(l.CPU)/float64(l.Took)/(roomObservers/50))
				told, kb = append(told, l.Told), append(kb, l.Bytes/1024)
			case "flood":
				flood, ram = append(flood, l.Answered), append(ram, mib(l.MostRAM))
				b.say("  %.0f requests a second, %.1f %% of them told to wait; the room took %.2f processors", l.Answered, 100*l.Refused, float64(l.FloodCPU)/float64(l.FloodFor))
			}
		}
	}
	rows = []row{
		{fmt.Sprintf("the room's processor time for 50 of %d observers, %%", roomObservers), share.text(2), fmt.Sprintf("≤ %g", roomLimit), met(share.median(), roomLimit)},
		{"each is told, times a second", told.text(1), "", ""},
		{"each is sent, KB a second", kb.text(1), "", ""},
	}
	for _, kind := range kinds {
		rows = append(rows, row{what: "p99 of how late faults are, ms: " + kind, figure: late[kind].text(2)})
	}
	ratio := ratios(late["observers"], late["alone"])
	rows = append(rows, row{"with observers / alone", ratio.text(2), fmt.Sprintf("≤ %g", roomLater), met(ratio.median(), roomLater)},
		row{"requests a second of strangers that were answered", flood.text(0), fmt.Sprintf("≥ %d", roomFlood), atLeast(flood.median(), roomFlood)},
		row{what: "the room's largest resident memory in that, MiB", figure: ram.text(0)})
	return rows, nil
}

// runRoom runs the scenario of the lateness, with somebody at its room or not.
func (b *bench) runRoom(ctx context.Context, kind string, count int) (s *seen, l looked, err error) {
	result := filepath.Join(b.dir, "looked.json")
	record := filepath.Join(b.dir, "record-lateness")
	if err := os.RemoveAll(record); err != nil { // else the one before is taken for this one
		return nil, l, err
	}
	if kind != "alone" {
		_ = os.Remove(result)
		h, err := b.start(roleCrowd, kind, b.gameday, record, result)
		if err != nil {
			return nil, l, err
		}
		defer func() {
			err = errors.Join(err, h.stop())
			text, read := os.ReadFile(result)
			if read == nil {
				read = json.Unmarshal(text, &l)
			}
			if read != nil {
				err = errors.Join(err, fmt.Errorf("who looked at the room says nothing: %w", read))
			}
		}()
		s, err = b.runLateness(ctx, 1, count)
		return s, l, err
	}
	s, err = b.runLateness(ctx, 1, count)
	return s, l, err
}

// beAtARoom is the role of those at a room: it waits for the record, opens its room, and looks on, or floods it, until its input ends.
func beAtARoom() (err error) {
	args := os.Args[len(os.Args)-4:]
	kind, gameday, record, result := args[0], args[1], args[2], args[3]
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	fmt.Println("here")
	for {
		if _, err := os.Stat(filepath.Join(record, report.EventsFile)); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return errors.New("there was no run")
		case <-time.After(20 * time.Millisecond):
		}
	}
	observers := roomObservers
	if kind == "flood" {
		observers = 1
	}
	room, guests, err := openRoom(ctx, gameday, record, observers)
	if err != nil {
		return err
	}
	defer func() {
		_ = room.Process.Signal(syscall.SIGTERM)
		err = errors.Join(err, room.Wait())
	}()
	if err := standBack(); err != nil {
		return err
	}
	l, err := watchRoom(ctx, kind, room.Process.Pid, guests)
	if err != nil {
		return err
	}
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return os.WriteFile(result, text, 0o600)
}

// standBack gives way to all else on the machine: browsers are elsewhere, and what is measured is the room that serves them. A thread that is
// started later has the priority of whichever starts it.
func standBack() error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, tid, 19); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("giving way to what is measured: %w", err)
		}
	}
	return nil
}

// openRoom opens a record's room and has everybody who is invited come in.
func openRoom(ctx context.Context, gameday, record string, observers int) (*exec.Cmd, []crowd.Guest, error) {
	args := []string{"room", record, "--listen", "127.0.0.1:0", "--audit", filepath.Join(filepath.Dir(record), "audit.jsonl")}
	for i := range observers {
		args = append(args, "--invite", "o"+strconv.Itoa(i)+"=observer")
	}
	c := exec.Command(gameday, args...)
	c.Env = plainEnvironment()
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := bound.Start(c, syscall.SIGKILL); err != nil {
		return nil, nil, err
	}
	var guests []crowd.Guest
	lines := bufio.NewScanner(out)
	for len(guests) < observers && lines.Scan() {
		f := strings.Fields(lines.Text())
		g, err := crowd.ComeIn(ctx, f[len(f)-1])
		if err != nil {
			return nil, nil, errors.Join(err, c.Process.Kill(), c.Wait())
		}
		guests = append(guests, g)
	}
	if len(guests) < observers {
		return nil, nil, errors.Join(fmt.Errorf("the room invites %d of %d", len(guests), observers), c.Process.Kill(), c.Wait())
	}
	return c, guests, nil
}

// watchRoom looks on for as long as anything is told.
func watchRoom(ctx context.Context, kind string, pid int, guests []crowd.Guest) (l looked, err error) {
	o, err := crowd.Look(ctx, guests, report.LiveSizes())
	if err != nil {
		return l, err
	}
	first, err := crowd.CPU(pid)
	if err != nil {
		return l, err
	}
	began, told, sent := time.Now(), o.Told.Load(), o.Bytes.Load()
	flooded := make(chan crowd.Flood, 1)
	if kind == "flood" {
		go func() { flooded <- crowd.Storm(ctx, guests[0].Address, roomFlood*1.2, 64) }()
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	seen := told
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		now, err := crowd.CPU(pid)
		if err != nil {
			return l, err
		}
		if n := o.Told.Load(); n > seen { // when the run is over there is nothing to tell
			seen = n
			l.CPU, l.Took, l.Gone = now-first, time.Since(began), o.Gone.Load()
			l.Told, l.Bytes = float64(n-told)/l.Took.Seconds()/float64(len(guests)), float64(o.Bytes.Load()-sent)/l.Took.Seconds()/float64(len(guests))
		}
		l.FloodCPU, l.FloodFor = now-first, time.Since(began)
	}
	if kind == "flood" {
		f := <-flooded
		l.Answered, l.Refused = f.Rate(), float64(f.Answered[429])/max(1, float64(f.Sent))
	}
	_, l.MostRAM, err = crowd.Memory(pid)
	return l, err
}

package web

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/report"
	"gameday/room"
)

// listen opens a stream over a wire, and returns what comes by it.
func (k *rig) listen(w *wire, role room.Role) (c net.Conn, in *bufio.Reader) {
	c = w.dial()
	fmt.Fprintf(c, "GET /stream?size=desk HTTP/1.1\r\nHost: localhost\r\nCookie: %s=%s\r\n\r\n", k.cookie(), k.cookies[role])
	return c, bufio.NewReaderSize(c, 1<<20)
}

// until takes what comes until something is in a line of it.
func until(t *testing.T, in *bufio.Reader, what string) {
	t.Helper()
	for line := ""; !strings.Contains(line, what); {
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			t.Fatalf("%q does not come: %v", what, err)
		}
	}
}

// goingOn returns a room of a run that goes on, and what adds to its record.
func goingOn(t *testing.T) (*rig, *grow) {
	t.Helper()
	g := &grow{t: t, dir: t.TempDir()}
	g.plan(small(false))
	g.add(0, report.RunStarted, report.Started{Run: "r1"})
	return newRig(t, g.dir), g
}

// rest returns what takes all that comes until the other side hangs up, beside the test.
func rest(in *bufio.Reader) <-chan string {
	out := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(in)
		out <- string(text)
	}()
	return out
}

// TestTheEndIsToldBeforeTheRoomCloses: a room that is closed when the end of the run is in the record, and nobody looked at it since, tells everybody all
// the same, those included who were told something a moment ago and whose turn it is not. It takes no time.
func TestTheEndIsToldBeforeTheRoomCloses(t *testing.T) {
	for _, role := range room.Roles() {
		t.Run(string(role), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, g := goingOn(t)
				w, stop := served(t, k)
				c, in := k.listen(w, role)
				defer c.Close()
				until(t, in, "event: now")
				time.Sleep(time.Second)
				g.add(time.Second, report.Noted, report.Note{Text: "the quoll is awake"})
				until(t, in, "quoll")
				g.add(time.Second, report.Noted, report.Note{Text: "the wombat is awake"})
				last := rest(in)
				time.Sleep(lookEvery + turnEvery/2) // it is read, an observer waits to be told of it, and it is nobody's turn
				synctest.Wait()
				g.add(time.Second, report.RunEnded, report.Ended{Reason: report.EndStopped})
				began := time.Now()
				stop()
				if took := time.Since(began); took > 100*time.Millisecond {
					t.Errorf("closing took %s", took)
				}
				if text := <-last; !strings.Contains(text, "Nothing is hidden any more") || !strings.Contains(text, "wombat") || !strings.HasSuffix(text, "0\r\n\r\n") {
					t.Errorf("before the room closes this is told:\n%.2000s", text)
				}
			})
		})
	}
}

// TestARoomClosesWhileTheRunGoesOn: then those who look on are not told all in one moment what is new.
func TestARoomClosesWhileTheRunGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, g := goingOn(t)
		w, stop := served(t, k)
		c, in := k.listen(w, room.Observer)
		defer c.Close()
		until(t, in, "event: now")
		last := rest(in)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		g.add(3*time.Second, report.Noted, report.Note{Text: "the quoll is awake"})
		stop()
		if text := <-last; strings.Contains(text, "quoll") || !strings.HasSuffix(text, "0\r\n\r\n") {
			t.Errorf("this is told while the run goes on:\n%.2000s", text)
		}
	})
}

// TestWhoReadsNothingHoldsUpNoEnd: somebody who reads nothing of the end is waited for as all are who are being answered, and no longer.
func TestWhoReadsNothingHoldsUpNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, g := goingOn(t)
		w, stop := served(t, k)
		c, in := k.listen(w, room.Observer)
		defer c.Close()
		until(t, in, "event: now")
		g.add(0, report.RunEnded, report.Ended{Reason: report.EndStopped})
		began := time.Now()
		stop()
		if took := time.Since(began); took != endLimit {
			t.Errorf("closing took %s, want %s", took, endLimit)
		}
	})
}

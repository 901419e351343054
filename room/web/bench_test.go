package web

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gameday/report"
	"gameday/room"
	"gameday/room/door"
)

// observers is how many look on.
const observers = 500

// counter is the other end of a stream that counts how often it was told what time it is.
type counter struct {
	header http.Header
	told   *atomic.Int64
	bytes  *atomic.Int64
}

func (c *counter) Header() http.Header { return c.header }
func (c *counter) WriteHeader(int)     {}
func (c *counter) Flush()              {}
func (c *counter) Write(b []byte) (int, error) {
	c.bytes.Add(int64(len(b)))
	if strings.Contains(string(b), "event: now") {
		c.told.Add(1)
	}
	return len(b), nil
}

// BenchmarkObservers has 500 observers look at a run: an operation is a second of it, with the windows of three streams. cpu-ms/s is
// the processor time of a second, of which 50 observers may have ten milliseconds; over loopback that of the readers is in it too.
func BenchmarkObservers(b *testing.B) {
	b.Run("memory", func(b *testing.B) {
		benchmark(b, func(ctx context.Context, k *rig, told, bytes *atomic.Int64) {
			for i := range observers {
				r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/stream?size="+report.LiveSizes()[i%3], nil)
				r.AddCookie(&http.Cookie{Name: k.cookie(), Value: k.observer(b, i)})
				go k.ServeHTTP(&counter{http.Header{}, told, bytes}, r)
			}
		})
	})
	b.Run("loopback", func(b *testing.B) {
		benchmark(b, func(ctx context.Context, k *rig, told, bytes *atomic.Int64) {
			srv := httptest.NewServer(k)
			b.Cleanup(srv.Close)
			for i := range observers {
				c, err := net.Dial("tcp", srv.Listener.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				context.AfterFunc(ctx, func() { _ = c.Close() })
				fmt.Fprintf(c, "GET /stream?size=%s HTTP/1.1\r\nHost: localhost\r\nCookie: %s=%s\r\n\r\n", report.LiveSizes()[i%3], k.cookie(), k.observer(b, i))
				go func() {
					in := bufio.NewReaderSize(c, 64<<10)
					for {
						line, err := in.ReadSlice('\n')
						bytes.Add(int64(len(line)))
						if err != nil && err != bufio.ErrBufferFull {
							return
						}
						if strings.HasPrefix(string(line), "event: now") {
							told.Add(1)
						}
					}
				}()
			}
		})
	})
}

// observer lets one more observer in and returns their cookie.
func (k *rig) observer(b fataler, i int) string {
	token, err := k.Door.Link(door.Guest{Name: fmt.Sprint("observer ", i), Role: room.Observer, Run: run}, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	cookie, _, err := k.Door.Enter(token, run, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	return cookie
}

func benchmark(b *testing.B, look func(context.Context, *rig, *atomic.Int64, *atomic.Int64)) {
	dir := b.TempDir()
	var steps []step
	for i := range 300 { // a picture that is full
		steps = append(steps, second(time.Duration(i)*time.Second))
	}
	write(b, dir, &filler{salt: "a"}, append([]step{{kind: report.RunStarted}, phase(0, report.Load)}, steps...))
	k := newRig(b, dir)
	k.address.Burst = 1e6
	k.look(b, 300*time.Second)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var told, bytes atomic.Int64
	look(ctx, k, &told, &bytes)
	wait := func(n int64) {
		for told.Load() < n {
			time.Sleep(5 * time.Millisecond) // they are told in turns anyway
		}
	}
	wait(observers)
	told.Store(0)
	bytes.Store(0)
	before := cpu(b)
	b.ResetTimer()
	for i := range b.N {
		at := time.Duration(300+i) * time.Second
		for range 3 {
			k.hub.state.Take(event(b, second(at)))
		}
		k.hub.publish(began.Add(at+500*time.Millisecond), true)
		wait(int64(i+1) * observers)
	}
	b.StopTimer()
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/s")
	b.ReportMetric(float64(bytes.Load())/float64(b.N)/observers/1024, "KB/observer")
}

// event is one that a step makes, out of any record.
func event(b *testing.B, s step) report.Event {
	b.Helper()
	return report.Event{At: began.Add(s.at), T: s.at, Kind: s.kind, Data: data(b, &filler{salt: "a"}, s)}
}

// cpu is the processor time of this process.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

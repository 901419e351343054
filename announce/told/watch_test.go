package told

import (
	"context"
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gameday/announce"
)

// TestDropHeld lets go of a message of which somebody else has the lock: who only comes upon it keeps nobody from that, and who is sending it does.
func TestDropHeld(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sends bool // whoever has the lock is sending it
		want  string
	}{
		{"come upon", false, Expired},
		{"sent", true, Delivered},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := open(t)
			synctest.Test(t, func(t *testing.T) {
				other, err := Open(f.dir)
				if err != nil {
					t.Fatal(err)
				}
				goOn, over := make(chan struct{}), make(chan error, 1)
				other.Fate = func(string) Fate { return FateDied }
				other.Ready = func(string) bool { // it is asked with the lock held
					if !tt.sends {
						<-goOn
					}
					return tt.sends
				}
				d := draft("watches")
				d.Watch = "run"
				post(t, f, d, true)
				go func() {
					_, _, err := other.Flush(t.Context(), func() time.Time { return start }, "bob", all, func(ctx context.Context, d announce.Draft) announce.Outcome {
						<-goOn
						return takes(ctx, d)
					})
					over <- err
				}()
				synctest.Wait()
				began, dropped := time.Now(), make(chan error, 1)
				go func() { dropped <- f.Drop("watches", "it has ended", "ann", start) }()
				if tt.sends {
					if err := <-dropped; !errors.Is(err, syscall.EWOULDBLOCK) || time.Since(began) != lockPatience {
						t.Errorf("after %s: %v", time.Since(began), err)
					}
					close(goOn)
				} else {
					synctest.Wait()
					close(goOn)
					if err := <-dropped; err != nil {
						t.Error(err)
					}
				}
				if err := <-over; err != nil {
					t.Error(err)
				}
				if k, err := read(filepath.Join(f.dir, "watches.jsonl")); err != nil || k.Last().What != tt.want {
					t.Errorf("%+v, %v", k, err)
				}
			})
		})
	}
}

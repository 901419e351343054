package web_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/internal/siterig"
	"gameday/rehearsals"
	"gameday/room"
	"gameday/serve/web"
)

// silent is Data that does not answer.
type silent struct{ *siterig.Data }

func (silent) Runs(ctx context.Context) (*web.Runs, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// unsigned is Data that does not say whether a sign-off can be kept.
type unsigned struct{ *siterig.Data }

func (unsigned) SignOff(ctx context.Context, _ rehearsals.SignOff) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestNobodySignsForEver: where nobody says in time whether a sign-off was kept, it was not, and that is told.
func TestNobodySignsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := siterig.Autumn(t.TempDir())
		k := rigged(t, d)
		k.Data = unsigned{d}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // else it would hang
		defer cancel()
		digest := rehearsals.Judge(d.L[0].Plan, d.L[0].Shown, nil, siterig.Now).Digest
		began := time.Now()
		done := make(chan int)
		go func() {
			done <- k.askWithin(ctx, room.Facilitator, http.MethodPost, "/rehearsals/launch-eu-west-2/sign", url.Values{"as": {"sre"}, "saw": {digest}}).Code
		}()
		select {
		case code := <-done:
			if took := time.Since(began); code != http.StatusServiceUnavailable || took > 40*time.Second {
				t.Errorf("after %s it is answered %d", took, code)
			}
		case <-ctx.Done():
			t.Fatal("it is never answered")
		}
	})
}

// TestNobodyWaitsForEver: what nobody answers is said to be not known after a while.
func TestNobodyWaitsForEver(t *testing.T) {
	for path, want := range map[string]int{"GET /runs": http.StatusServiceUnavailable, "GET /": http.StatusOK, "GET /reports/x": http.StatusServiceUnavailable, "GET /badge/x.svg": http.StatusOK,
		"POST /rehearsals/x/sign": http.StatusServiceUnavailable, "POST /reveal/x": http.StatusServiceUnavailable} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := rigged(t, &siterig.Data{})
				k.Data = silent{k.data}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // else it would hang
				defer cancel()
				began := time.Now()
				method, at, _ := strings.Cut(path, " ")
				w := k.askWithin(ctx, room.Facilitator, method, at, nil)
				if took := time.Since(began); w.Code != want || took > 15*time.Second {
					t.Errorf("after %s it is answered %d", took, w.Code)
				}
			})
		})
	}
}

package web_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/internal/siterig"
	"gameday/room"
	"gameday/serve/web"
)

// silent is Data that does not answer.
type silent struct{ *siterig.Data }

func (silent) Runs(ctx context.Context) (*web.Runs, error) {
	<-ctx.Done()
	return nil, ctx.Err()
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

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	bankSlow     = 350 * time.Millisecond // an answer that takes longer is slow
	bankSlowest  = 10 * time.Second
	feltSuffix   = ".felt"
	feltFileMode = 0o644
)

// bank thinks about each charge for a while, and burns nothing meanwhile.
type bank struct {
	thinks time.Duration
	slow   string // a file which, while it is there, says for how long instead
	log    io.Writer
}

// bankRole serves a bank.
func bankRole(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("bank", flag.ContinueOnError)
	listen := flags.String("listen", ":9142", "address to serve on")
	thinks := flags.Duration("thinks", 200*time.Millisecond, "how long it takes to answer")
	slow := flags.String("slow", "/run/bank-thinks", "a file which, while it is there, says how long instead; its first answer of that kind is noted in FILE"+feltSuffix)
	if err := parse(flags, args, log); err != nil {
		return err
	}
	return serve(ctx, *listen, (&bank{thinks: *thinks, slow: *slow, log: log}).routes(), log)
}

func (b *bank) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("POST /charges", func(w http.ResponseWriter, r *http.Request) {
		d, slow, err := b.delay()
		if err != nil {
			fail(w, http.StatusInternalServerError, err.Error())
			return
		}
		if wait(r.Context(), d) != nil {
			return
		}
		if slow {
			b.felt(d)
		}
		answer(w, http.StatusOK, map[string]string{"status": "agreed"})
	})
	return mux
}

// delay is how long it thinks now, and whether that is longer than usual.
func (b *bank) delay() (d time.Duration, slow bool, err error) {
	text, err := os.ReadFile(b.slow)
	if errors.Is(err, fs.ErrNotExist) {
		return b.thinks, false, nil
	}
	if err == nil {
		d, err = time.ParseDuration(strings.TrimSpace(string(text)))
	}
	if err != nil {
		return 0, false, fmt.Errorf("looking how long to think: %w", err)
	}
	return min(max(d, 0), bankSlowest), true, nil
}

// felt notes that somebody had to wait longer, for whoever made it slow to see.
func (b *bank) felt(d time.Duration) {
	if _, err := os.Stat(b.slow); err != nil {
		return // it is over
	}
	if err := os.WriteFile(b.slow+feltSuffix, []byte(d.String()+"\n"), feltFileMode); err != nil {
		fmt.Fprintln(b.log, err)
	}
}

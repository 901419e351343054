// Command shop is a small web shop to practise game days on: three services in one program, each started by name.
//
//	shop storefront   sells: catalogue, product pages, checkout, receipts
//	shop payments     charges: books every charge in the ledger, or keeps it for later when the ledger is away
//	shop ledger       remembers: the book of entries, in memory
//
// A purchase goes storefront → payments → ledger, a receipt goes storefront → ledger, and browsing needs the storefront
// alone. So the three kinds of traffic tell the three services apart, which is what makes its alarms interesting.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stderr); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(0)
		}
		fmt.Fprintf(os.Stderr, "shop: %v\n", err)
		os.Exit(1)
	}
}

// settings are what a service is started with.
type settings struct {
	listen   string
	payments string // base URL of payments
	ledger   string // base URL of the ledger
	seed     uint64 // of the pretended work
	queue    int    // charges payments keeps while the ledger is away
	warmUp   time.Duration
}

// run starts the service named first in args and serves until ctx ends.
func run(ctx context.Context, args []string, env func(string) string, out io.Writer) error {
	name, s, err := parse(args, env, out)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(out, nil)).With("service", name)
	if !warm(ctx, s.warmUp) {
		return nil
	}
	svc := build(name, s, log)
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.listen)
	if err != nil {
		return fmt.Errorf("starting %s: %w; free the address or choose another with -listen", name, err)
	}
	log.Info("serving", "address", l.Addr().String())
	return svc.serve(ctx, l)
}

// warm waits as services do that have something to load before they answer. It returns false when ctx ends meanwhile.
func warm(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// build makes the service called name, which parse has checked.
func build(name string, s settings, log *slog.Logger) *service {
	work := newPause(s.seed, workShortest, workLongest)
	switch name {
	case "payments":
		return newPayments(s, work, log)
	case "ledger":
		return newLedger(work)
	default:
		return newStorefront(s, work)
	}
}

// parse reads the service's name and its flags; environment variables set the defaults of the flags.
func parse(args []string, env func(string) string, out io.Writer) (string, settings, error) {
	defaults := map[string]string{"storefront": ":9101", "payments": ":9102", "ledger": ":9103"}
	if len(args) == 0 || defaults[args[0]] == "" {
		return "", settings{}, errors.New("which service? say: shop storefront, shop payments or shop ledger")
	}
	or := func(name, otherwise string) string {
		if v := env(name); v != "" {
			return v
		}
		return otherwise
	}
	name := args[0]
	var s settings
	flags := flag.NewFlagSet("shop "+name, flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&s.listen, "listen", or("LISTEN", defaults[name]), "address to listen on (LISTEN)")
	var seed, queue, warmUp string
	flags.StringVar(&warmUp, "warm-up", or("WARM_UP", "0s"), "how long it takes until it answers (WARM_UP)")
	flags.StringVar(&seed, "seed", or("SEED", "1"), "seed of the pretended work (SEED)")
	queue = or("QUEUE", "2000")
	switch name {
	case "storefront":
		flags.StringVar(&s.payments, "payments", or("PAYMENTS_URL", "http://payments:9102"), "payments (PAYMENTS_URL)")
		flags.StringVar(&s.ledger, "ledger", or("LEDGER_URL", "http://ledger:9103"), "ledger (LEDGER_URL)")
	case "payments":
		flags.StringVar(&s.ledger, "ledger", or("LEDGER_URL", "http://ledger:9103"), "ledger (LEDGER_URL)")
		flags.StringVar(&queue, "queue", queue, "charges to keep while the ledger is away (QUEUE)")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return "", settings{}, err
	}
	if flags.NArg() > 0 {
		return "", settings{}, fmt.Errorf("%s takes flags only, but was given %q", name, flags.Arg(0))
	}
	var err error
	if s.warmUp, err = time.ParseDuration(warmUp); err != nil || s.warmUp < 0 {
		return "", settings{}, fmt.Errorf("the time to warm up must be a duration such as \"3s\", not %q", warmUp)
	}
	if s.seed, err = strconv.ParseUint(seed, 10, 64); err != nil {
		return "", settings{}, fmt.Errorf("the seed must be a whole number from 0, not %q", seed)
	}
	if s.queue, err = strconv.Atoi(queue); err != nil || s.queue < 1 || s.queue > queueCeiling {
		return "", settings{}, fmt.Errorf("the queue must hold 1 to %d charges, not %q", queueCeiling, queue)
	}
	return name, s, nil
}

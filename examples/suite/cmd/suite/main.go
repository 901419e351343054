// Command suite plays the parts in the worlds of the standard suite: small services, each with a flag for the flaw that a
// game day is meant to find. Each part, a role, is started by name:
//
//	suite ROLE [flags]
//
// Without a role it prints all roles; suite ROLE -h prints the flags of one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// role is one part that this program can play.
type role struct {
	name    string
	summary string // one line, for the list
	// run plays the part until ctx ends. What it has to say goes to log, which the record of the run keeps.
	run func(ctx context.Context, args []string, log io.Writer) error
}

// roles are all parts, a file for each family.
var roles = []role{
	// Services, and what stands before them.
	{"archive", "keeps documents on a disk that may be full", archiveRole},
	{"balancer", "spreads requests over backends that its health check finds well", balancerRole},
	{"bank", "thinks about each charge for a while", bankRole},
	{"cashier", "asks a till for payments, and the bank about each", cashierRole},
	{"catalogue", "shows goods and orders from a PostgreSQL, with a limit to its patience or without", catalogueRole},
	{"fill", "writes what a world begins with", fillRole},
	{"jobs", "takes jobs into a queue in Redis, where logins are kept too", jobsRole},
	{"notes", "keeps notes in a PostgreSQL, and reads them from its replica", notesRole},
	{"orders", "serves orders, and marks the folder they are in as its own", ordersRole},
	{"prices", "tells a price: the service behind shelf", pricesRole},
	{"quotes", "computes prices, with a share of the processors or without", quotesRole},
	{"sales", "shows orders, and reports over all sales, from a PostgreSQL", salesRole},
	{"service", "works for a while, and may need others: with time limits and bulkheads, or without", serviceRole},
	{"sessions", "keeps sessions in memory, with or without a peer that has them too", sessionsRole},
	{"shelf", "shows a page with a price, which it asks another service for", shelfRole},
	{"till", "takes payments, with as many cashiers as its scaler wants", tillRole},
	{"worker", "takes jobs from the queue in Redis and does them", workerRole},

	// Stores, queues and name servers.
	{"names", "answers DNS queries, as the small resolver of a machine", namesRole},
	{"postgres", "makes a PostgreSQL, or the replica of one, and serves it", postgresRole},

	// Watchers and people.
	{"watchman", "a dead man's switch: pages when no heartbeat comes any more", watchmanRole},
	{"chat", "a place to talk in writing", chatRole},
	{"crew", "two people who must find each other: who is on call, and who knows the remedy", crewRole},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run plays the role that args name, and returns the exit code: 0 when all went well, 1 when the role failed, 2 when it
// could not be told what was wanted.
func run(ctx context.Context, args []string, out, log io.Writer) int {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		list(out)
		if len(args) > 0 && (args[0] == "-h" || args[0] == "--help") {
			return 0
		}
		return 2
	}
	for _, r := range roles {
		if r.name != args[0] {
			continue
		}
		err := r.run(ctx, args[1:], log)
		var bad *usageError
		switch {
		case err == nil, errors.Is(err, flag.ErrHelp):
			return 0
		case errors.As(err, &bad):
			fmt.Fprintf(log, "suite %s: %v; suite %s -h shows the flags\n", r.name, err, r.name)
			return 2
		}
		fmt.Fprintf(log, "suite %s: %v\n", r.name, err)
		return 1
	}
	fmt.Fprintf(log, "suite: there is no role %q; suite alone lists them\n", args[0])
	return 2
}

// list prints the roles.
func list(out io.Writer) {
	fmt.Fprint(out, "suite ROLE [flags]\n\n")
	for _, r := range roles {
		fmt.Fprintf(out, "  %-12s %s\n", r.name, r.summary)
	}
}

// usageError is a mistake in how a role was started.
type usageError struct{ text string }

// Error returns what is wrong.
func (e *usageError) Error() string { return e.text }

// parse reads the flags of a role; anything that is not a flag is a mistake. Text of -h goes to log.
func parse(flags *flag.FlagSet, args []string, log io.Writer) error {
	flags.SetOutput(log)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return &usageError{err.Error()}
	}
	if flags.NArg() > 0 {
		return &usageError{fmt.Sprintf("it takes flags only, but was given %q", flags.Arg(0))}
	}
	return nil
}

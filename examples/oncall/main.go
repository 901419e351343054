// Command oncall plays one person on call, so that a game day can be rehearsed, and run in CI, without waking anybody.
//
//	oncall -desk http://gameday:9911 -person bob -after 3s -bridge
//	oncall -desk http://gameday:9911 -person ann -never
//
// It watches a paging desk. When the person is notified of a page it waits a while, as people do, and then acknowledges
// the page and does what its flags say. With -never it watches and does nothing: a pager in a drawer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintf(os.Stderr, "oncall: %v\n", err)
		os.Exit(2)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("person", s.person)
	newPerson(s, &paging{base: s.desk, client: &http.Client{Timeout: 2 * time.Second}}, log).watch(ctx)
}

// script is what a person does when paged.
type script struct {
	desk    string
	person  string
	after   time.Duration // from being notified to the acknowledgement
	never   bool
	bridge  bool
	note    string
	then    []string      // further verbs of the desk, each with its text after a "="
	resolve time.Duration // from the acknowledgement; 0 leaves it to the alarm
	poll    time.Duration
}

func parse(args []string, out io.Writer) (script, error) {
	var s script
	flags := flag.NewFlagSet("oncall", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&s.desk, "desk", "http://gameday:9911", "URL of the paging desk")
	flags.StringVar(&s.person, "person", "", "who is on call; pages that notify this name are answered")
	flags.DurationVar(&s.after, "after", 3*time.Second, "time from being notified to the acknowledgement")
	flags.BoolVar(&s.never, "never", false, "sleep through everything")
	flags.BoolVar(&s.bridge, "bridge", false, "open a bridge (a call for everybody) after the acknowledgement")
	flags.StringVar(&s.note, "note", "", "leave this note after the acknowledgement")
	flags.Func("then", `do this as well after the acknowledgement: a verb of the desk and its text, such as "join=incident lead", "runbook" or "customers=we look into it"; may be repeated`,
		func(text string) error {
			if verb, _, _ := strings.Cut(text, "="); strings.Trim(verb, "abcdefghijklmnopqrstuvwxyz") != "" || verb == "" {
				return fmt.Errorf("%q begins with no verb", text)
			}
			s.then = append(s.then, text)
			return nil
		})
	flags.DurationVar(&s.resolve, "resolve", 0, "resolve this long after the acknowledgement; 0 leaves it to the alarm")
	flags.DurationVar(&s.poll, "poll", 250*time.Millisecond, "time between two looks at the desk")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	u, err := url.Parse(s.desk)
	switch {
	case flags.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q; everything is said by flags", flags.Arg(0))
	case s.person == "":
		return s, errors.New("who is on call? say -person bob")
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return s, fmt.Errorf("-desk must be the desk's URL, such as http://gameday:9911, not %q", s.desk)
	case s.after < 0 || s.resolve < 0:
		return s, errors.New("-after and -resolve cannot be negative")
	case s.poll < 10*time.Millisecond:
		return s, errors.New("-poll must be at least 10ms, to leave the desk in peace")
	}
	s.desk = strings.TrimSuffix(s.desk, "/")
	return s, nil
}

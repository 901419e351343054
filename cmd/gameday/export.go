package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"gameday/conductor"
	"gameday/report"
	"gameday/report/export"
)

// receiver is something that a run can be exported to.
type receiver struct {
	flag, env string // --flag URL, and GAMEDAY_<env>_TOKEN and GAMEDAY_<env>_HEADERS
	about     string
	url       string
	send      func(context.Context, export.Destination, *report.Scorecard) (string, error)
}

func (a *app) exportCmd() *cobra.Command {
	to := []*receiver{
		{flag: "remote-write", env: "REMOTE_WRITE", send: remoteWrite,
			about: "send the run's metrics by Prometheus remote write to this address"},
		{flag: "otlp", env: "OTLP", send: otlp, about: "send the run's metrics by OTLP over HTTP to this endpoint"},
		{flag: "grafana", env: "GRAFANA", send: annotate, about: "put annotations of the run into the Grafana at this address"},
	}
	var tokenEnv string
	c := &cobra.Command{
		Use:   "export [RECORD] [--remote-write URL] [--otlp URL] [--grafana URL]",
		Short: "Send a run's metrics to Prometheus or OTLP, and its annotations to Grafana",
		Long: `Sends what a record tells to the team's own dashboards: metrics by Prometheus remote write or by OTLP, annotations to
Grafana. Everything has the times of the run, and a second export doubles nothing. Without a folder it takes the newest
in runs/.

  gameday export runs/20261120-140212-shop --remote-write http://127.0.0.1:9090/api/v1/write
  gameday export --otlp http://127.0.0.1:4318 --grafana https://grafana.example

Tokens come from the environment: GAMEDAY_REMOTE_WRITE_TOKEN, GAMEDAY_OTLP_TOKEN, GAMEDAY_GRAFANA_TOKEN, or the variable
that --token-env names. GAMEDAY_REMOTE_WRITE_HEADERS and its like hold further headers, as X-Scope-OrgID=team,Other=value
with percent-encoded values. Neither is ever printed.

Exits 0 when everything was taken, and 2 otherwise, whatever the run's verdict.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var chosen []*receiver
			for _, r := range to {
				if r.url != "" {
					chosen = append(chosen, r)
				}
			}
			if len(chosen) == 0 {
				return usage("say where to: --remote-write URL, --otlp URL, or --grafana URL")
			}
			if tokenEnv != "" && len(chosen) > 1 {
				return usage("--token-env is for one receiver; with several, set GAMEDAY_REMOTE_WRITE_TOKEN, GAMEDAY_OTLP_TOKEN " +
					"and GAMEDAY_GRAFANA_TOKEN")
			}
			dir, err := recordDir(args)
			if err != nil {
				return err
			}
			return a.export(c.Context(), dir, chosen, tokenEnv)
		},
	}
	for _, r := range to {
		c.Flags().StringVar(&r.url, r.flag, "", r.about)
	}
	c.Flags().StringVar(&tokenEnv, "token-env", "", "the environment variable that holds the token, when it has another name")
	return c
}

// export sends a record to each receiver, also when another one refuses.
func (a *app) export(ctx context.Context, dir string, to []*receiver, tokenEnv string) error {
	var where []export.Destination
	for _, r := range to {
		d, err := r.destination(tokenEnv)
		if err != nil {
			return err
		}
		where = append(where, d)
	}
	if _, err := conductor.Ask(ctx, dir, conductor.Request{Do: "status"}); err == nil {
		return usage("the run in %s is still in progress; wait for its end, or stop it with `gameday stop %s`", dir, dir)
	}
	rec, err := report.Read(dir)
	if err != nil {
		return usage("%w", err)
	}
	if len(rec.Events) == 0 {
		return usage("%s: nothing happened in it, so there is nothing to export", dir)
	}
	card := report.Score(rec)
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	var errs []error
	for i, r := range to {
		done, err := r.send(ctx, where[i], card)
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", r.flag, err))
			continue
		}
		fmt.Fprintf(a.out, "%s: %s\n", r.flag, done)
	}
	return errors.Join(errs...)
}

// destination reads from the environment how to sign in.
func (r *receiver) destination(tokenEnv string) (export.Destination, error) {
	d := export.Destination{URL: r.url, TokenFrom: "GAMEDAY_" + r.env + "_TOKEN", HeaderFrom: "GAMEDAY_" + r.env + "_HEADERS"}
	if _, err := export.CheckURL(r.url); err != nil {
		return d, usage("--%s: %w", r.flag, err)
	}
	if tokenEnv != "" {
		if d.TokenFrom = tokenEnv; os.Getenv(tokenEnv) == "" {
			return d, usage("--token-env %s: there is no such environment variable, or it is empty", tokenEnv)
		}
	}
	d.Token = os.Getenv(d.TokenFrom)
	var err error
	if d.Header, err = export.ParseHeader(os.Getenv(d.HeaderFrom)); err != nil {
		return d, usage("%s: %w", d.HeaderFrom, err)
	}
	return d, nil
}

func remoteWrite(ctx context.Context, d export.Destination, card *report.Scorecard) (string, error) {
	m := export.Of(card)
	return sentWords(m), export.RemoteWrite(ctx, d, m)
}

func otlp(ctx context.Context, d export.Destination, card *report.Scorecard) (string, error) {
	m := export.Of(card)
	return sentWords(m), export.OTLP(ctx, d, m, versionText())
}

func sentWords(m *export.Metrics) string {
	n := 0
	for _, f := range m.Families {
		n += len(f.Samples)
	}
	return fmt.Sprintf("%d series sent, with the time of the run's end, %s", n, m.At.UTC().Format("2006-01-02 15:04:05 UTC"))
}

func annotate(ctx context.Context, d export.Destination, card *report.Scorecard) (string, error) {
	list, left := export.Annotations(card)
	t, err := export.Grafana(ctx, d, list)
	text := fmt.Sprintf("%d annotations added, %d changed, %d there already", t.Added, t.Changed, t.Kept)
	if left > 0 {
		text += fmt.Sprintf("; %d more than a run may have were left out", left)
	}
	return text, err
}

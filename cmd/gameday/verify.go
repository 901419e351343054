package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gameday/audit"
	"gameday/faults"
	"gameday/rehearsals"
	"gameday/rehearsals/bundle"
	"gameday/report"
)

func (a *app) verifyCmd() *cobra.Command {
	var allowed string
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify BUNDLE|FOLDER",
		Short: "Verify a bundle of evidence: its sums, its signature, and every report from its record",
		Long: "Holds every byte of a bundle that `gameday rehearse --bundle` packed to its sums, derives every report and the scorecard over all again\n" +
			"from the records in it, and says what differs: which file, and which byte, line or JSON path. With a file of allowed signers, as\n" +
			"ssh-keygen has it, it must be signed by one of them; without, it says by which key it is signed, and that nobody vouched.\n\n" +
			"A folder that a bundle was unpacked into is verified likewise.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.verify(args[0], allowed, asJSON) },
	}
	c.Flags().StringVar(&allowed, "allowed-signers", "", "who may have signed: a file as ssh-keygen(1) describes it")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

func (a *app) verify(path, allowed string, asJSON bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := verified(ctx, path, allowed)
	var code *codeError
	var other *bundle.VersionError
	switch {
	case errors.As(err, &code):
		return err
	case errors.As(err, &other):
		return &codeError{code: exitInconclusive, err: fmt.Errorf("%s cannot be verified here: %w", path, other)}
	case errors.Is(err, bundle.ErrNoBundle):
		return &codeError{code: 1, err: fmt.Errorf("%s: %w", path, err)}
	case err != nil: // this machine's fault, or somebody stopped it: of the bundle that says nothing
		return &codeError{code: exitInconclusive, err: fmt.Errorf("%s cannot be verified here: %w", path, err)}
	}
	if asJSON {
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		err = e.Encode(r)
	} else {
		err = bundle.Text(a.out, path, r)
	}
	if err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	if r.Exit != 0 {
		return &codeError{code: r.Exit}
	}
	return nil
}

// verified verifies a bundle, or the folder that one was unpacked into.
func verified(ctx context.Context, path, allowed string) (*bundle.Result, error) {
	if allowed != "" {
		if _, err := os.Stat(allowed); err != nil {
			return nil, usage("reading the allowed signers: %w", err)
		}
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, usage("opening the bundle: %w", err)
	case info.IsDir():
		return bundle.VerifyFolder(ctx, path, versionText(), allowed)
	case !info.Mode().IsRegular():
		return nil, usage("%s is neither a bundle nor a folder that one was unpacked into", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, usage("opening the bundle: %w", err)
	}
	defer f.Close()
	return bundle.Verify(ctx, f, info.Size(), versionText(), allowed)
}

// pack packs what was seen of a rehearsal into a file.
func (a *app) pack(f *rehearseFlags, what *rehearsals.Rehearsal, seen *sight) error {
	me := audit.Me()
	c := bundle.Contents{Rehearsal: what, Found: seen.found, SignOffs: seen.signed, By: me.String(), Host: me.Host, Version: versionText(), Now: seen.card.Now}
	calendar, err := os.ReadFile(what.File)
	if err != nil {
		return usage("packing the calendar: %w", err)
	}
	c.Extra = append(c.Extra, bundle.Source{Path: bundle.CalendarFolder + "/" + plainName(filepath.Base(what.File)), Data: calendar})
	runs := policiesOf(what, &c)
	if err := auditOf(f.audit, runs, &c); err != nil {
		return err
	}
	for _, why := range c.Missing {
		a.say("not in the bundle: %s", why)
	}
	var sign func([]byte) ([]byte, error)
	if f.sign != "" {
		sign = func(manifest []byte) ([]byte, error) { return bundle.Sign(context.Background(), f.sign, manifest) }
	}
	err = writeFile(f.bundle, func(w io.Writer) error {
		_, err := bundle.Pack(w, c, sign)
		return err
	})
	if err != nil {
		return usage("%w", err)
	}
	a.say("the evidence is in %s; `gameday verify %s` holds it to its records", f.bundle, f.bundle)
	return nil
}

// plainName keeps of a file's name what every system takes.
func plainName(name string) string {
	ext := filepath.Ext(name)
	return folderName(strings.TrimSuffix(name, ext)) + strings.Map(func(r rune) rune {
		if r == '.' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, ext)
}

// policiesOf adds the policies that allowed the runs, as they were, and returns the runs' ids.
func policiesOf(what *rehearsals.Rehearsal, c *bundle.Contents) (runs []string) {
	var told []report.PolicyFile
	for _, all := range c.Found.Rehearsals[what.Name] {
		for _, run := range all {
			if run.Run != "" {
				runs = append(runs, run.Run)
			}
			rec, err := report.Read(c.Found.Dirs[run.Record])
			if err != nil {
				continue // the bundle says of the record that it cannot be read
			}
			for _, p := range report.NewTimeline(rec).Started.Policies {
				if !slices.Contains(told, p) {
					told = append(told, p)
				}
			}
		}
	}
	slices.SortFunc(told, func(a, b report.PolicyFile) int { return strings.Compare(a.File+" "+a.Digest, b.File+" "+b.Digest) })
	for _, p := range told {
		text, err := os.ReadFile(p.File)
		sum := sha256.Sum256(text)
		if err != nil || p.Digest != hex.EncodeToString(sum[:]) {
			c.Missing = append(c.Missing, fmt.Sprintf("the policy %s as it was (SHA-256 %s): it is not there any more, or was changed since", p.File, p.Digest))
			continue
		}
		c.Extra = append(c.Extra, bundle.Source{Path: bundle.PoliciesFolder + "/" + p.Digest[:12] + "-" + plainName(filepath.Base(p.File)), Data: text})
	}
	return runs
}

// auditOf adds the lines of the audit log about some runs.
func auditOf(path string, runs []string, c *bundle.Contents) error {
	if path == "" {
		dir, err := faults.DefaultLedgerDir()
		if err != nil {
			return usage("%w", err)
		}
		path = audit.DefaultFile(dir)
	}
	lines, broken, err := audit.Read(path, time.Time{})
	if err != nil {
		return usage("%w", err)
	}
	if broken > 0 {
		c.Missing = append(c.Missing, fmt.Sprintf("%d line(s) of the audit log %s, which cannot be read", broken, path))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	seen := map[string]bool{}
	for _, l := range lines {
		if l.What == audit.SignedOff && l.Scenario == c.Rehearsal.Name || l.Run != "" && slices.Contains(runs, l.Run) {
			seen[l.Run] = true
			if err := e.Encode(l); err != nil {
				return fmt.Errorf("packing the audit log: %w", err)
			}
		}
	}
	for _, run := range runs {
		if !seen[run] {
			c.Missing = append(c.Missing, fmt.Sprintf("lines about the run %s in the audit log %s: there are none", run, path))
		}
	}
	c.Extra = append(c.Extra, bundle.Source{Path: bundle.AuditFile, Data: b.Bytes()})
	return nil
}

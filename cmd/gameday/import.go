package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gameday/importer"
	"gameday/scenarios"
)

// importFlags are the flags of `gameday import`.
type importFlags struct {
	o        importer.Options
	from     string
	rate     float64
	scenario bool
	output   string
	force    bool
	json     bool
}

// importOnly says which kind of file a flag is about.
var importOnly = map[string]importer.Kind{"assets": importer.HAR, "base-only": importer.HAR, "one-flow": importer.HAR,
	"max-think": importer.HAR, "env": importer.Postman, "writes": importer.OpenAPI}

func (a *app) importCmd() *cobra.Command {
	f := &importFlags{}
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Make a traffic block of a HAR file, a Postman collection or an OpenAPI document",
		Long: "Reads what a browser recorded (HAR), what Postman exported (a collection, version 2.1) or what describes a service\n" +
			"(OpenAPI 3), and prints a traffic block of request and flow blocks. What is not carried over is listed on standard\n" +
			"error and stands as a comment at its place, and so does what was guessed. Secrets are not written: the block reads\n" +
			"them from the environment. Nobody is contacted.\n\n" +
			"Operations of an OpenAPI document that change data are written as comments unless --writes gives them a weight.",
		Example: "  gameday import shop.har                                # the block on standard output\n" +
			"  gameday import shop.har --scenario -o shop.hcl         # a whole scenario, to be validated and run\n" +
			"  gameday import shop.postman_collection.json --env staging.postman_environment.json\n" +
			"  gameday import openapi.yaml --base http://staging:8080 --rate 40",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.importFile(c, f, args[0]) },
	}
	flags := c.Flags()
	flags.StringVar(&f.from, "from", "", "what the file is: har, postman or openapi (default: told from its content)")
	flags.StringVar(&f.o.Name, "name", "", "the traffic block's name (default: made of the file's)")
	flags.Float64Var(&f.rate, "rate", 1, "the baseline's rate, in flows per second")
	flags.StringVar(&f.o.Base, "base", "", "send to this origin instead of the file's, for example http://staging:8080")
	flags.BoolVar(&f.scenario, "scenario", false, "write a whole scenario around the block")
	flags.StringVarP(&f.output, "output", "o", "", "write to this file; long bodies go into a folder beside it")
	flags.BoolVar(&f.force, "force", false, "replace files that are there already")
	flags.BoolVar(&f.json, "json", false, "print as JSON what was and was not carried over, with the block unless it goes to a file")
	flags.BoolVar(&f.o.Assets, "assets", false, "HAR: keep static files too, and not only documents, xhr and fetch")
	flags.BoolVar(&f.o.BaseOnly, "base-only", false, "HAR: leave out requests to other origins than the most frequent one")
	flags.BoolVar(&f.o.OneFlow, "one-flow", false, "HAR: one flow for the whole recording, and not one for each page")
	flags.DurationVar(&f.o.MaxThink, "max-think", 10*time.Second, "HAR: cut pauses to this; 0 leaves them out")
	flags.StringVar(&f.o.Environment, "env", "", "Postman: an environment, whose values win over the collection's")
	flags.Float64Var(&f.o.Writes, "writes", 0, "OpenAPI: weight of operations that change data (POST, PUT, PATCH, DELETE)")
	return c
}

func (a *app) importFile(c *cobra.Command, f *importFlags, path string) error {
	if err := f.check(); err != nil {
		return err
	}
	r, err := importer.Import(path, f.o)
	if err != nil {
		return usage("%w", err)
	}
	for _, flag := range slices.Sorted(maps.Keys(importOnly)) {
		if kind := importOnly[flag]; c.Flags().Changed(flag) && kind != r.Kind {
			return usage("--%s goes with %s, and %s is %s", flag, kind.Title(), path, r.Kind.Title())
		}
	}
	r.Rate, r.Multiple = f.rate, 3
	if !c.Flags().Changed("rate") {
		r.RateNote = "flows per second: put the measured rate here"
	}
	if f.scenario {
		r.Scenario, r.Summary = r.Name, fmt.Sprintf("The service holds three times the traffic of %s.", filepath.Base(path))
	}
	var block bytes.Buffer
	err = scenarios.WriteTraffic(&block, r.Draft)
	switch {
	case errors.Is(err, scenarios.ErrTooLong):
		return usage("%s gives more than the %d MB that a scenario may have; record less at once, split the file, leave requests out "+
			"(--base-only, without --assets), or put long bodies beside the block with -o", path, scenarios.MaxSize>>20)
	case err != nil:
		return err
	}
	if err := f.write(r, block.Bytes()); err != nil {
		return err
	}
	if f.json {
		return a.importJSON(f, r, block.String())
	}
	if f.output == "" {
		if _, err := a.out.Write(block.Bytes()); err != nil {
			return err
		}
	}
	return a.importSaid(f, r, path)
}

// check finds mistakes in the flags before anything is read.
func (f *importFlags) check() error {
	f.o.Kind = importer.Kind(f.from)
	switch {
	case f.from != "" && !slices.Contains(importer.Kinds(), f.o.Kind):
		return usage("--from is har, postman or openapi, not %q", f.from)
	case !(f.rate > 0 && f.rate <= 1e6): // which NaN is not either
		return usage("--rate is more than 0 and at most 1000000 flows a second, not %g", f.rate)
	case !(f.o.Writes >= 0 && f.o.Writes <= 1e9):
		return usage("--writes is a weight, from 0 to 1e9, not %g", f.o.Writes)
	case f.o.MaxThink < 0:
		return usage("--max-think is a duration such as 10s, or 0, not %s", f.o.MaxThink)
	case f.output == "":
		return nil
	}
	if info, err := os.Stat(filepath.Dir(f.output)); err != nil || !info.IsDir() {
		return usage("%s cannot be written: there is no folder %s", f.output, filepath.Dir(f.output))
	}
	base := filepath.Base(f.output)
	f.o.Beside = strings.TrimSuffix(base, filepath.Ext(base)) + "-bodies"
	return f.vacant(f.output)
}

// vacant makes sure that nothing is lost by writing a file.
func (f *importFlags) vacant(path string) error {
	if _, err := os.Lstat(path); err == nil && !f.force {
		return usage("%s is there already; name another file, or replace it with --force", path)
	}
	return nil
}

// write puts the block and the bodies into their files.
func (f *importFlags) write(r *importer.Result, block []byte) error {
	if f.output == "" {
		return nil
	}
	dir := filepath.Dir(f.output)
	for _, file := range r.Files {
		if err := f.vacant(filepath.Join(dir, file.Path)); err != nil {
			return err
		}
	}
	for _, file := range r.Files {
		path := filepath.Join(dir, filepath.FromSlash(file.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
		if err := writeFile(path, func(w io.Writer) error { _, err := w.Write(file.Data); return err }); err != nil {
			return err
		}
	}
	return writeFile(f.output, func(w io.Writer) error { _, err := w.Write(block); return err })
}

// importJSON prints what became of a file, for scripts.
func (a *app) importJSON(f *importFlags, r *importer.Result, block string) error {
	out := struct {
		From     importer.Kind   `json:"from"`
		Name     string          `json:"name"`
		Base     string          `json:"base"`
		Flows    int             `json:"flows"`
		Requests int             `json:"requests"` // that are sent
		Off      int             `json:"off"`      // that are comments
		Losses   []importer.Loss `json:"losses"`
		Files    []string        `json:"files,omitempty"`
		Block    string          `json:"block,omitempty"`
	}{From: r.Kind, Name: r.Name, Base: r.BaseURL(), Losses: r.Losses, Block: block}
	out.Flows, out.Requests, out.Off, _ = r.Count()
	if f.output != "" {
		out.Block = ""
		out.Files = append(out.Files, f.output)
		for _, file := range r.Files {
			out.Files = append(out.Files, filepath.Join(filepath.Dir(f.output), filepath.FromSlash(file.Path)))
		}
	}
	if out.Losses == nil {
		out.Losses = []importer.Loss{}
	}
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(out)
}

// importSaid says what became of a file, for people.
func (a *app) importSaid(f *importFlags, r *importer.Result, path string) error {
	flows, on, off, writes := r.Count()
	text := fmt.Sprintf("%s, %s: %s of %s", path, r.Kind.Title(), importer.Counted(flows, "flow"), importer.Counted(on, "request"))
	if off > 0 {
		text += fmt.Sprintf(", and %s as comments", importer.Counted(off, "request"))
	}
	a.say("%s", text)
	switch {
	case on == 0:
		a.say("nothing of it would be sent: take the marks of comments away where that may be, or see `gameday import --help`")
	case r.BaseURL() != "":
		a.say("it sends to %s: check that you may send load there, or give --base", importer.Plain(r.BaseURL()))
	}
	if writes > 0 {
		a.say("%s of it may change data (POST, PUT, PATCH, DELETE): send that only where it may", importer.Counted(writes, "request"))
	}
	if f.output != "" {
		a.say("written: %s, and %s beside it", f.output, importer.Counted(len(r.Files), "body file"))
	}
	if len(r.Losses) == 0 {
		return nil
	}
	a.say("%s to look at; each is a comment in the block, and all are listed by --json", importer.Counted(len(r.Losses), "thing"))
	return importer.WriteLosses(a.errw, r.Losses, width(a.errw))
}

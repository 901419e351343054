package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"gameday/audit"
	"gameday/conductor"
	"gameday/faults"
	"gameday/faults/kinds"
	"gameday/policy"
	"gameday/report"
	"gameday/scenarios"
)

// policyVariable names a policy file for want of --policy.
const policyVariable = "GAMEDAY_POLICY"

// machinePolicy is the policy of this machine's owner, which always counts. Only tests set another.
var machinePolicy = "/etc/gameday/policy.hcl"

// machineHalt is where root stops the game days of all users. Only tests set another, or none.
var machineHalt = faults.MachineHalt

// fence are the flags of the verbs that ask policies.
type fence struct {
	policy, approvedBy string
}

func (f *fence) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.policy, "policy", "", "policy file (default $"+policyVariable+"); "+machinePolicy+" always counts where it is there")
	c.Flags().StringVar(&f.approvedBy, "approved-by", "", "who approved the run, for the policy, the record and the audit log")
}

// files returns the policies that count: this machine's, and the one that is named.
func (f *fence) files() []string {
	var out []string
	if _, err := os.Lstat(machinePolicy); !errors.Is(err, fs.ErrNotExist) { // one that cannot be read, or leads nowhere, is an error soon
		out = append(out, machinePolicy)
	}
	named := f.policy
	if named == "" {
		named = os.Getenv(policyVariable)
	}
	if named == "" {
		return out
	}
	info, err := os.Stat(named)
	own, ownErr := os.Stat(machinePolicy)
	if err == nil && ownErr == nil && os.SameFile(info, own) {
		return out
	}
	return append(out, named)
}

// load reads the policies that count. Mistakes in them are printed, and end the program.
func (f *fence) load(a *app) ([]*policy.Policy, error) {
	var out []*policy.Policy
	var read []*scenarios.File
	for _, path := range f.files() {
		p, file := scenarios.LoadPolicy(path, kinds.All())
		out, read = append(out, p), append(read, file)
	}
	return out, a.complain(read, false)
}

// admission is what a run may do, and where that is written down.
type admission struct {
	policies []*policy.Policy
	halts    []string
	registry string
	log      *audit.Log // nil when it cannot be written and need not be
	line     audit.Line // what each line about the run as a whole has
}

// halts returns the files that stop all game days of this user.
func halts() ([]string, error) {
	dir, err := faults.DefaultLedgerDir()
	if err != nil {
		return nil, usage("%w", err)
	}
	out := []string{faults.HaltFile(dir)}
	if machineHalt != "" && out[0] != machineHalt {
		out = append(out, machineHalt)
	}
	return out, nil
}

// admit refuses a run that a policy forbids, or while game days are stopped: nothing is touched then. It opens the audit
// log.
func (a *app) admit(f *runFlags, file *scenarios.File, s *scenarios.Scenario) (*admission, error) {
	policies, err := f.fence.load(a)
	if err != nil {
		return nil, err
	}
	dir, err := faults.DefaultLedgerDir()
	if err != nil {
		return nil, usage("%w", err)
	}
	ad := &admission{policies: policies, registry: conductor.RegistryDir(dir), line: auditLine(f, file, s, policies)}
	if ad.halts, err = halts(); err != nil {
		return nil, err
	}
	if err := ad.open(a, f.audit, dir); err != nil {
		return nil, err
	}
	refuse := func(why string) error {
		line := ad.line
		line.What, line.Why = audit.RunRefused, s.Redact(why)
		ad.write(a, line)
		return usage("%s", s.Redact(why))
	}
	if h := faults.Halted(ad.halts...); h != nil {
		return nil, refuse(h.Error())
	}
	o := conductor.Options{Scenario: s, Machine: onlooker(), Policies: policies, ApprovedBy: f.approvedBy, Seed: f.seed}
	violations := conductor.Violations(context.Background(), o, time.Now())
	for _, v := range violations {
		a.say("%s", s.Redact(v.String()))
	}
	if len(violations) > 0 {
		return nil, refuse(fmt.Sprintf("the policy forbids this run; nothing was touched (%d violations)", len(violations)))
	}
	return ad, nil
}

// auditLine is what the audit log has of a run whatever happens to it.
func auditLine(f *runFlags, file *scenarios.File, s *scenarios.Scenario, policies []*policy.Policy) audit.Line {
	l := audit.Line{Scenario: s.Name, File: file.Path, ApprovedBy: f.approvedBy}
	if abs, err := filepath.Abs(file.Path); err == nil {
		l.File = abs
	}
	if src := file.Sources[file.Path]; src != nil {
		sum := sha256.Sum256(src.Bytes)
		l.Digest = hex.EncodeToString(sum[:])
	}
	for _, p := range policies {
		l.Policies = append(l.Policies, audit.Policy{File: p.File, Digest: p.Digest})
	}
	return l
}

// required reports whether a policy forbids runs without an audit log.
func (ad *admission) required() bool {
	for _, p := range ad.policies {
		if p.AuditRequired {
			return true
		}
	}
	return false
}

// open opens the audit log.
func (ad *admission) open(a *app, path, ledger string) error {
	if path == "" {
		path = audit.DefaultFile(ledger)
	}
	var err error
	if ad.log, err = audit.Open(path); err == nil {
		return nil
	}
	if ad.required() {
		return usage("%w; the policy requires it, so nothing was touched", err)
	}
	a.say("%v; going on without one", err)
	return nil
}

// write writes one line, or says why not.
func (ad *admission) write(a *app, l audit.Line) {
	if ad.log == nil {
		return
	}
	if err := ad.log.Write(l); err != nil {
		a.say("%v", err)
	}
}

// begin writes that the run begins, with what it may touch. Without that line a run does not begin where a policy requires
// the log.
func (ad *admission) begin(a *app, o conductor.Options) error {
	if ad.log == nil {
		return nil
	}
	l := ad.line
	l.What, l.Run, l.Record = audit.RunBegan, o.Run, o.Dir
	l.Places = conductor.Touched(context.Background(), conductor.Options{Scenario: o.Scenario, Machine: onlooker(), Seed: o.Seed})
	ad.line.Run, ad.line.Record = o.Run, o.Dir
	if err := ad.log.Write(l); err != nil {
		if ad.required() {
			return usage("%w; the policy requires it, so nothing was touched", err)
		}
		a.say("%v", err)
	}
	return nil
}

// verdict writes the verdict of the run.
func (ad *admission) verdict(a *app, card *report.Scorecard) {
	l := ad.line
	l.What, l.Verdict = audit.Verdict, card.Verdict.String()
	if card.Residue {
		l.Verdict += ", with residue"
	}
	ad.write(a, l)
}

func (a *app) policyCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Check or compile a policy: what may be done to the machines of its owner",
		Long: "A policy says which faults may hit what, how many at once, when, for how long, and approved by whom. It belongs to whoever owns\n" +
			"the machines. plan checks it, run refuses what it forbids, and the guards beside the targets enforce it.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return usage("say what to do: policy check FILE or policy compile FILE")
		},
	}
	c.AddCommand(&cobra.Command{
		Use:   "check FILE",
		Short: "Check a policy file; says nothing when it is fine",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			_, file := scenarios.LoadPolicy(args[0], kinds.All())
			return a.complain([]*scenarios.File{file}, false)
		},
	}, &cobra.Command{
		Use:   "compile FILE",
		Short: "Print a policy as guards read it, for a machine's /etc/gameday/guard-policy.json",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, file := scenarios.LoadPolicy(args[0], kinds.All())
			if err := a.complain([]*scenarios.File{file}, false); err != nil {
				return err
			}
			e := json.NewEncoder(a.out)
			e.SetIndent("", "  ")
			e.SetEscapeHTML(false)
			return e.Encode(p)
		},
	})
	return c
}

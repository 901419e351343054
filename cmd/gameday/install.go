package main

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"text/template"

	"github.com/spf13/cobra"

	"gameday/faults"
)

//go:embed install.service
var serviceText string

//go:embed install.timer
var timerText string

//go:embed install.cron
var cronText string

// unit is what the files that install-guard prints are made of.
type unit struct {
	Program string // absolute path of gameday, or of gameday-guard
	Ledger  string // folder
	User    bool   // for one user, not for the machine
	Strict  bool   // only what the built-in kinds need
}

// installFlags are the flags of `gameday install-guard`.
type installFlags struct {
	user, strict, cron    bool
	only, program, ledger string
}

// plainPath is what a unit file and a crontab leave as it is: no spaces, quotes, percent or dollar signs.
var plainPath = regexp.MustCompile(`^/[A-Za-z0-9/._+@:,=-]*$`)

func (a *app) installGuardCmd() *cobra.Command {
	f := &installFlags{}
	c := &cobra.Command{
		Use:   "install-guard",
		Short: "Print a systemd timer (or a cron line) that reverts what killed runs leave",
		Long: "Prints a systemd service and a timer that run `gameday revert` at boot and every ten seconds: a fault is then reverted even when\n" +
			"gameday and its guard were both killed, or the machine restarted. Nothing is installed; how to is said on standard error.\n\n" +
			"On a machine that is reached by SSH only the guard is: print the files here with --program and its path over there.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.installGuard(f) },
	}
	c.Flags().BoolVar(&f.user, "user", false, "for your own game days only: units of your user, and your ledger")
	c.Flags().BoolVar(&f.strict, "strict", false, "harden the service as far as the built-in faults allow; the reverts of `command` faults may need more")
	c.Flags().BoolVar(&f.cron, "cron", false, "print lines for cron instead")
	c.Flags().StringVar(&f.only, "only", "", "print one file alone: service or timer")
	c.Flags().StringVar(&f.program, "program", "", "path of gameday, or of gameday-guard where only that is (default: this program)")
	c.Flags().StringVar(&f.ledger, "ledger", "", "folder of the ledger (default: the machine's, or with --user yours)")
	return c
}

func (a *app) installGuard(f *installFlags) error {
	u, err := f.unit()
	if err != nil {
		return err
	}
	files := u.files()
	switch {
	case f.cron && (f.only != "" || f.strict):
		return usage("--cron goes with neither --only nor --strict: they are about systemd units")
	case f.cron:
		files = []unitFile{u.cron()}
	case f.only == "service":
		files = files[:1]
	case f.only == "timer":
		files = files[1:]
	case f.only != "":
		return usage("--only is service or timer, not %q", f.only)
	}
	for i, file := range files {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		if f.only == "" {
			fmt.Fprintf(a.out, "# %s\n", file.path)
		}
		if err := file.write(a.out, u); err != nil {
			return err
		}
	}
	if f.only == "" { // whoever wants one file is following the instructions already
		a.explainInstall(f, u, files)
	}
	if !u.User && othersMayWrite(u.Program) {
		a.say("careful: root would run %s, which others than root may replace; install it in /usr/local/bin first", u.Program)
	}
	return nil
}

// unit checks the paths.
func (f *installFlags) unit() (unit, error) {
	u := unit{Program: f.program, Ledger: f.ledger, User: f.user, Strict: f.strict}
	var err error
	if u.Program == "" {
		if u.Program, err = os.Executable(); err != nil {
			return u, usage("finding this program: %w; give --program", err)
		}
	}
	switch {
	case u.Ledger != "":
	case u.User:
		if u.Ledger, err = faults.DefaultLedgerDir(); err != nil {
			return u, usage("%w", err)
		}
	default: // the one who prints the unit need not be root
		if u.Ledger = os.Getenv(faults.LedgerVariable); u.Ledger == "" {
			u.Ledger = faults.MachineLedgerDir
		}
	}
	for flag, path := range map[string]string{"program": u.Program, "ledger": u.Ledger} {
		if !plainPath.MatchString(path) {
			return u, usage("the path %q cannot stand in a unit file as it is: give an absolute one of plain letters with --%s", path, flag)
		}
	}
	return u, nil
}

// unitFile is one file to install.
type unitFile struct {
	path string
	text string // a template
}

func (u unit) files() []unitFile {
	dir := "/etc/systemd/system"
	if u.User {
		dir = "~/.config/systemd/user"
	}
	return []unitFile{{filepath.Join(dir, "gameday-revert.service"), serviceText}, {filepath.Join(dir, "gameday-revert.timer"), timerText}}
}

func (u unit) cron() unitFile {
	if u.User {
		return unitFile{"your crontab", cronText}
	}
	return unitFile{"/etc/cron.d/gameday-revert", cronText}
}

func (f unitFile) write(w io.Writer, u unit) error {
	t, err := template.New(f.path).Parse(f.text)
	if err == nil {
		err = t.Execute(w, u)
	}
	if err != nil {
		return fmt.Errorf("printing %s: %w", f.path, err)
	}
	return nil
}

// explainInstall says what to do with what was printed.
func (a *app) explainInstall(f *installFlags, u unit, files []unitFile) {
	sudo, systemctl := "sudo ", "sudo systemctl"
	if u.User {
		sudo, systemctl = "", "systemctl --user"
	}
	args := f.given(u)
	switch {
	case f.cron && u.User:
		a.say("to install, add the lines to your crontab: crontab -e")
		return
	case f.cron:
		a.say("to install:")
		fmt.Fprintf(a.errw, "  gameday install-guard%s | sudo tee %s >/dev/null\n", args, files[0].path)
		return
	}
	a.say("to install:")
	if u.User {
		fmt.Fprintln(a.errw, "  mkdir -p ~/.config/systemd/user")
	}
	for _, file := range files {
		only := strings.TrimPrefix(filepath.Ext(file.path), ".")
		fmt.Fprintf(a.errw, "  gameday install-guard%s --only %s | %stee %s >/dev/null\n", args, only, sudo, file.path)
	}
	fmt.Fprintf(a.errw, "  %s daemon-reload\n  %s enable --now gameday-revert.timer\n", systemctl, systemctl)
	if u.User {
		fmt.Fprintln(a.errw, "  loginctl enable-linger   # else it runs only while you are logged in")
	}
	a.say("what it reverts is in the journal: %s", map[bool]string{true: "journalctl --user -u gameday-revert", false: "journalctl -u gameday-revert"}[u.User])
}

// given repeats the flags, so that the instructions print the same files again.
func (f *installFlags) given(u unit) string {
	var b strings.Builder
	for _, flag := range []struct {
		on   bool
		text string
	}{
		{f.user, "--user"}, {f.strict, "--strict"}, {f.cron, "--cron"},
		{f.program != "", "--program " + u.Program}, {f.ledger != "" || os.Getenv(faults.LedgerVariable) != "", "--ledger " + u.Ledger},
	} {
		if flag.on {
			b.WriteString(" " + flag.text)
		}
	}
	return b.String()
}

// othersMayWrite reports whether somebody who is not root may change a program, or put another in its place.
func othersMayWrite(program string) bool {
	for _, path := range []string{program, filepath.Dir(program)} {
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		sticky := info.Mode()&os.ModeSticky != 0
		if ok && (stat.Uid != 0 || info.Mode().Perm()&0o022 != 0 && !sticky) {
			return true
		}
	}
	return false
}

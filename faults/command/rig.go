package command

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"gameday/faults"
)

// inherited are the variables that commands get from the guard. Those in the ledger are used again for the revert, so that
// it finds the same programs whoever runs it; all others must be named in the scenario.
var inherited = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR"}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// undo is what the ledger holds besides the parameters: all that a fresh process would not know.
type undo struct {
	Directory    string            `json:"directory"`
	Environment  map[string]string `json:"environment"` // inherited
	CannotRevert bool              `json:"cannot_revert,omitempty"`
}

// here returns the guard's own surroundings.
func here(c *Command) (undo, error) {
	u := undo{Directory: c.Directory, Environment: map[string]string{"PATH": defaultPath}, CannotRevert: c.CannotRevert}
	for _, name := range inherited {
		if v := os.Getenv(name); v != "" {
			u.Environment[name] = v
		}
	}
	if u.Directory == "" {
		var err error
		if u.Directory, err = os.Getwd(); err != nil {
			return undo{}, fmt.Errorf("finding the guard's folder: %w; give directory", err)
		}
	}
	return u, nil
}

// rig is everything that the commands of one fault at one place have in common.
type rig struct {
	config  *Command
	place   faults.Place
	owner   faults.Owner
	undo    undo
	timeout time.Duration
}

// job is one run of one command.
type job struct {
	verb    string
	argv    []string
	dir     string
	path    string   // of programs
	env     []string // whole
	init    *faults.Process
	timeout time.Duration
	leased  bool     // its lease allows less than the scenario's timeout
	secrets []string // never shown, the longest first
}

// job prepares a command; extra are more variables.
func (r *rig) job(verb string, argv []string, extra ...string) job {
	env := map[string]string{}
	maps.Copy(env, r.undo.Environment)
	maps.Copy(env, r.config.Environment)
	j := job{verb: verb, argv: argv, dir: r.undo.Directory, path: env["PATH"], timeout: r.timeout,
		secrets: slices.SortedFunc(maps.Values(r.config.Environment), func(a, b string) int { return cmp.Compare(len(b), len(a)) })}
	if n := r.place.Node; n != nil && n.Init.PID > 0 {
		j.init = &n.Init
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		j.env = append(j.env, name+"="+env[name])
	}
	j.env = append(j.env, commandVariable+verb, "GAMEDAY_RUN="+r.owner.Run, injectionVariable+r.owner.Injection,
		"GAMEDAY_FAULT="+r.owner.Fault, "GAMEDAY_PLACE="+r.place.Name)
	if p := r.place.Process; p != nil && alive(*p) {
		j.env = append(j.env, "GAMEDAY_PID="+strconv.Itoa(p.PID))
	}
	var addresses []string
	for _, a := range r.place.Addresses {
		addresses = append(addresses, a.String())
	}
	j.env = append(j.env, "GAMEDAY_ADDRESSES="+strings.Join(addresses, " "))
	j.env = append(j.env, extra...)
	return j
}

// These two variables are also how a revert finds commands whose guard was killed.
const (
	commandVariable   = "GAMEDAY_COMMAND="
	injectionVariable = "GAMEDAY_INJECTION="
)

// leaseVariable tells a command for how many seconds the fault may stand, rounded up.
func leaseVariable(lease time.Duration) string {
	return "GAMEDAY_LEASE=" + strconv.FormatInt(int64((lease+time.Second-1)/time.Second), 10)
}

// do runs a command to its end. An error says that it could not be run, ran too long, or ended badly.
func (j job) do(ctx context.Context) (result, error) {
	run := j.start(ctx)
	<-run.done
	if run.err != nil {
		return run.result, run.err
	}
	return run.result, run.result.problem()
}

// running is a command that has been started, or could not be.
type running struct {
	began  bool          // it was started
	done   chan struct{} // closed when result and err are valid
	result result
	err    error // it could not be run
}

// start starts a command and returns when it runs, or will not. The command and its process group are killed when ctx ends or
// the time is up; what it leaves in the background when it ends by itself is left alone.
func (j job) start(ctx context.Context) *running {
	r := &running{done: make(chan struct{})}
	begun := make(chan struct{})
	j.spawn(func() {
		defer close(r.done)
		r.err = faults.Protect(func() (err error) {
			r.result, err = j.run(ctx, begun)
			return err
		})
	})
	select {
	case <-begun:
	case <-r.done:
	}
	select { // both, if it has ended already
	case <-begun:
		r.began = true
	default:
	}
	return r
}

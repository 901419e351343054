package pairs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"gameday/report"
	"gameday/report/compare"
)

// git runs git in a folder and returns what it prints. When the context ends, git is asked to end, and takes away what
// it has not finished.
func git(ctx context.Context, folder string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = folder
	cmd.Env = cleanEnviron()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endWithin
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// cleanEnviron is the environment without what git sets for its hooks, which would lead every git to one checkout.
func cleanEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains([]string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}, name)
	})
}

// prepare makes the places of both sides: checked out, built, and with the same scenario.
func (r *runner) prepare(ctx context.Context, trees *worktrees) error {
	here, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	below := "."
	if r.Base.Ref != "" || r.Head.Ref != "" {
		repo, err := git(ctx, here, "rev-parse", "--show-toplevel")
		if err != nil {
			return unlessEnded(ctx, fmt.Errorf("%w: a ref needs a git checkout to run in: %w", ErrUsage, err))
		}
		if err := trees.of(repo); err != nil {
			return err
		}
		if below, err = filepath.Rel(trees.repo, realPath(here)); err != nil || !filepath.IsLocal(below) {
			return fmt.Errorf("%w: %s is not inside of %s", ErrUsage, here, trees.repo)
		}
	}
	for i, side := range []Side{r.Base, r.Head} {
		p := &place{Side: side, folder: here, scenario: r.Scenario}
		if side.Ref != "" {
			if filepath.IsAbs(r.Scenario) {
				return fmt.Errorf("%w: name the scenario relative to this folder, for it is another file in each checkout",
					ErrUsage)
			}
			if p.root, err = trees.add(ctx, side.Name, side.Ref); err != nil {
				return err
			}
			p.folder = filepath.Join(p.root, below)
		}
		r.sides[i] = p
	}
	from, to := r.sides[1], r.sides[0]
	if r.FromBase {
		from, to = to, from
	}
	sc, err := r.Load(filepath.Join(from.folder, r.Scenario))
	if err != nil {
		return err
	}
	if err := r.worthwhile(sc.Plan); err != nil {
		return err
	}
	for _, p := range r.sides {
		if err := r.build(ctx, p, sc); err != nil {
			return err
		}
	}
	return r.share(ctx, trees.repo, from, to, sc)
}

// unlessEnded returns the error, or why the context has ended when it has: then that is why.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// worthwhile reports a sequence that could have no answer, before anything is built for it.
func (r *runner) worthwhile(p *report.Plan) error {
	counting := compare.Counting(p, r.Compare)
	if err := (compare.Sequential{Most: r.most}).Check(counting); err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	var length time.Duration
	for _, ph := range p.Phases {
		length += ph.Length
	}
	least := compare.MinPairs(counting)
	if need := time.Duration(2*least) * length; r.Budget > 0 && need > r.Budget {
		return fmt.Errorf("%w: a run of this scenario takes at least %s, so that the %d pairs that an answer needs take at "+
			"least %s, and the budget is %s; "+
			"shorten its timeline, or allow more", ErrUsage, length, least, need, r.Budget)
	}
	return nil
}

// realPath resolves links, as git does for the root of a checkout.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// build builds a side's checkout. What was not checked out is as it is.
func (r *runner) build(ctx context.Context, p *place, sc *Scenario) error {
	command := r.Build
	if command == "" {
		command = sc.Build
	}
	if p.root == "" || command == "" {
		return nil
	}
	logPath := filepath.Join(r.Dir, p.Name+"-build.log")
	log, err := os.Create(logPath)
	if err != nil {
		return fmt.Errorf("keeping a log: %w", err)
	}
	defer log.Close()
	r.Say("building %s (%s): %s", p.Name, p.Ref, command)
	at := &place{Side: p.Side, folder: p.root}
	if err := shell(ctx, at, 0, command, log); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w: building %s (%s): %w%s", ErrUsage, p.Name, p.Ref, err, tail(logPath))
	}
	return nil
}

// share makes both sides run the same scenario. A side that was not checked out is the folder that regress runs in, and
// is not written to: where the other's scenario is not the same as the one in it, that is an error.
func (r *runner) share(ctx context.Context, repo string, from, to *place, sc *Scenario) error {
	if from.root == "" && to.root == "" {
		return nil
	}
	fromRoot, toRoot := realPath(cmp.Or(from.root, repo)), realPath(cmp.Or(to.root, repo))
	if to.root == "" {
		for _, path := range sc.Files {
			rel, err := filepath.Rel(fromRoot, realPath(path))
			if err == nil && filepath.IsLocal(rel) && !sameContent(path, filepath.Join(toRoot, rel)) {
				return fmt.Errorf("%w: %s is not the same in %s (%s) and in this folder, where %s runs; name a ref for both "+
					"sides, or take the scenario of this folder with --scenario-from %s", ErrUsage, rel, from.Name, from.Ref,
					to.Name, to.Name)
			}
		}
		return nil
	}
	taken, err := overlay(ctx, fromRoot, toRoot, sc)
	if err != nil {
		return unlessEnded(ctx, fmt.Errorf("taking the scenario of %s: %w", from.Name, err))
	}
	if len(taken) > 0 {
		r.Say("%s runs the scenario of %s, and takes from it: %s", to.Name, from.Name, strings.Join(taken, ", "))
	}
	return nil
}

// overlay puts the scenario of one side over that of the other: its file, its scripts, and the files, not the folders,
// that lie beside them, as far as they are under version control. It is done after building, so that what is tested
// stays the side's own. It returns those that were not the same before.
func overlay(ctx context.Context, fromRoot, toRoot string, sc *Scenario) (taken []string, err error) {
	paths := slices.Clone(sc.Files)
	for _, folder := range sc.Folders {
		if rel, err := filepath.Rel(fromRoot, realPath(folder)); err != nil || !filepath.IsLocal(rel) {
			continue // outside of the checkout: the same for both
		}
		files, err := git(ctx, folder, "ls-files", "-z", "--", ".")
		if err != nil {
			return taken, err
		}
		for name := range strings.SplitSeq(files, "\x00") {
			if name != "" && !strings.Contains(name, "/") {
				paths = append(paths, filepath.Join(folder, name))
			}
		}
	}
	for _, from := range paths {
		rel, err := filepath.Rel(fromRoot, filepath.Join(realPath(filepath.Dir(from)), filepath.Base(from)))
		if err != nil || !filepath.IsLocal(rel) || sameContent(from, filepath.Join(toRoot, rel)) {
			continue
		}
		switch copied, err := copyFile(from, filepath.Join(toRoot, rel)); {
		case err != nil:
			return taken, err
		case copied:
			taken = append(taken, rel)
		}
	}
	return taken, nil
}

// sameContent reports whether two files hold the same.
func sameContent(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA != nil || errB != nil || infoA.Size() != infoB.Size() {
		return false
	}
	contentA, errA := os.ReadFile(a)
	contentB, errB := os.ReadFile(b)
	return errA == nil && errB == nil && bytes.Equal(contentA, contentB)
}

// copyFile copies a regular file, or what a link leads to; anything else, and one that is not there any more, is left as
// it is. A link in its place is replaced: what it leads to is not the checkout's.
func copyFile(from, to string) (copied bool, err error) {
	info, err := os.Stat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || !info.Mode().IsRegular() {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return false, err
	}
	if there, err := os.Lstat(to); err == nil && there.Mode()&fs.ModeSymlink != 0 {
		if err := os.Remove(to); err != nil {
			return false, err
		}
	}
	in, err := os.Open(from)
	if err != nil {
		return false, err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return false, err
	}
	_, err = io.Copy(out, in)
	return true, errors.Join(err, out.Close())
}

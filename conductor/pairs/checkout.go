package pairs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gameday/report"
	"gameday/report/compare"
)

// worktrees are the checkouts that were made, in a temporary folder.
type worktrees struct {
	dir, repo string
	made      []string
}

// git runs git in a folder and returns what it prints.
func git(ctx context.Context, folder string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = folder
	cmd.Env = cleanEnviron()
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
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

// add checks a ref out into a worktree of its own, without touching any branch.
func (w *worktrees) add(ctx context.Context, name, ref string) (root string, err error) {
	commit, err := git(ctx, w.repo, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
	if err != nil {
		return "", fmt.Errorf("%w: there is no commit %q here; in CI, fetch the whole history", ErrUsage, ref)
	}
	root = filepath.Join(w.dir, name)
	w.made = append(w.made, root)
	if _, err := git(ctx, w.repo, "worktree", "add", "--detach", "--force", root, commit); err != nil {
		return "", fmt.Errorf("checking %s out: %w", ref, err)
	}
	return root, nil
}

// remove takes all checkouts away, also when the context has ended.
func (w *worktrees) remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	var errs []error
	for _, root := range w.made {
		if _, err := git(ctx, w.repo, "worktree", "remove", "--force", "--force", root); err != nil {
			// It may not have come to be one; the folder goes anyway, and git forgets what has none.
			errs = append(errs, os.RemoveAll(root))
			_, _ = git(ctx, w.repo, "worktree", "prune")
		}
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

// prepare makes the places of both sides: checked out, built, and with the same scenario.
func (r *runner) prepare(ctx context.Context, trees *worktrees) error {
	here, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	below := "."
	if r.Base.Ref != "" || r.Head.Ref != "" {
		if trees.repo, err = git(ctx, here, "rev-parse", "--show-toplevel"); err != nil {
			return fmt.Errorf("%w: a ref needs a git checkout to run in: %w", ErrUsage, err)
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
	return overlay(ctx, from, to, sc.Folders)
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

// overlay puts the scenario of one side over that of the other: the files, and not the folders, that lie beside it and
// beside its scripts, as far as they are under version control. It is done after building, so that what is tested stays
// the side's own.
func overlay(ctx context.Context, from, to *place, folders []string) error {
	if from.root == "" || to.root == "" {
		return nil
	}
	for _, folder := range folders {
		rel, err := filepath.Rel(realPath(from.root), realPath(folder))
		if err != nil || !filepath.IsLocal(rel) {
			continue // outside of the checkout: the same for both
		}
		files, err := git(ctx, folder, "ls-files", "-z", "--", ".")
		if err != nil {
			return fmt.Errorf("taking the scenario of %s: %w", from.Name, err)
		}
		for name := range strings.SplitSeq(files, "\x00") {
			if name == "" || strings.Contains(name, "/") {
				continue
			}
			if err := copyFile(filepath.Join(folder, name), filepath.Join(to.root, rel, name)); err != nil {
				return fmt.Errorf("taking the scenario of %s: %w", from.Name, err)
			}
		}
	}
	return nil
}

// copyFile copies a regular file; anything else is left as it is.
func copyFile(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

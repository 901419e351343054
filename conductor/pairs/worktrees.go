package pairs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// folderPrefix is how the names of folders for checkouts begin, in the folder for temporary files.
const folderPrefix = "gameday-regress-"

// lockFile lies beside the checkouts, with the repository that they are of in it. It is locked as long as the regress
// that made them is there: standing and not locked, they are what one left that was killed.
const lockFile = "lock"

// worktrees are the checkouts that were made, in a temporary folder.
type worktrees struct {
	dir, repo string
	lock      *os.File
	made      []string
}

// newWorktrees makes a folder for checkouts.
func newWorktrees() (*worktrees, error) {
	dir, err := os.MkdirTemp("", folderPrefix)
	if err != nil {
		return nil, fmt.Errorf("making a folder for checkouts: %w", err)
	}
	// Under its name it is locked from the first instant. Where files cannot be locked it never gets it, and what is killed
	// there leaves its checkouts to people.
	unnamed := filepath.Join(dir, "."+lockFile)
	lock, err := os.OpenFile(unnamed, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil && syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		err = os.Rename(unnamed, filepath.Join(dir, lockFile))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking the folder for checkouts: %w", err), os.RemoveAll(dir))
	}
	return &worktrees{dir: dir, lock: lock}, nil
}

// of says of which repository the checkouts are, before the first is made.
func (w *worktrees) of(repo string) error {
	w.repo = repo
	if _, err := w.lock.WriteAt([]byte(repo), 0); err != nil {
		return fmt.Errorf("noting the repository of the checkouts: %w", err)
	}
	return nil
}

// add checks a ref out into a worktree of its own, without touching any branch.
func (w *worktrees) add(ctx context.Context, name, ref string) (root string, err error) {
	commit, err := git(ctx, w.repo, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
	if err != nil {
		return "", unlessEnded(ctx, fmt.Errorf("%w: there is no commit %q here; in CI, fetch the whole history", ErrUsage,
			ref))
	}
	root = filepath.Join(w.dir, name)
	w.made = append(w.made, root)
	if _, err := git(ctx, w.repo, "worktree", "add", "--detach", "--force", root, commit); err != nil {
		return "", unlessEnded(ctx, fmt.Errorf("checking %s out: %w", ref, err))
	}
	return root, nil
}

// remove takes all checkouts away, also when the context has ended.
func (w *worktrees) remove() error {
	defer w.lock.Close()
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	var errs []error
	for _, root := range w.made {
		if _, err := git(ctx, w.repo, "worktree", "remove", "--force", "--force", root); err != nil {
			// It may not have come to be one; the folder goes anyway, and git forgets what has none, unless it was killed while
			// it made it.
			errs = append(errs, os.RemoveAll(root))
			_, _ = git(ctx, w.repo, "worktree", "unlock", root)
			_, _ = git(ctx, w.repo, "worktree", "prune")
		}
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

// sweep takes away the checkouts of calls that were killed, as far as they are this user's.
func sweep(say func(format string, args ...any)) {
	folders, _ := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	for _, dir := range folders {
		w := orphaned(dir)
		if w == nil {
			continue
		}
		if err := w.remove(); err != nil {
			say("a regress was killed, and its checkouts in %s cannot be removed: %v", dir, err)
			continue
		}
		say("removed the checkouts that a regress left which was killed (%s)", dir)
	}
}

// orphaned returns the checkouts in a folder when they are nobody's any more, and locks them; else nil.
func orphaned(dir string) *worktrees {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return nil
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
		return nil
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil
	}
	if err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil
	}
	repo, err := os.ReadFile(lock.Name())
	if err != nil { // it went just now
		lock.Close()
		return nil
	}
	w := &worktrees{dir: dir, repo: strings.TrimSpace(string(repo)), lock: lock}
	for _, name := range []string{"base", "head"} {
		if w.repo != "" {
			w.made = append(w.made, filepath.Join(dir, name))
		}
	}
	return w
}

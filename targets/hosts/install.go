package hosts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"gameday/faults/ssh"
)

// DefaultInstall is the folder on a host that programs are copied to.
const DefaultInstall = "~/.cache/gameday"

// ErrNotInstalled says that a program is not on the host, and that nothing was to be copied.
var ErrNotInstalled = errors.New("is not there yet")

// expand is the part of the scripts that makes of the folder in $1 an absolute path in $d. The scripts are one line each:
// csh, as a login shell, does not take more within quotes.
const expand = `case $1 in "~/"*) d=$HOME/${1#??};; *) d=$1;; esac; `

// probe prints the system, the folder, and the digests of the programs in it. A folder of somebody else's, or that others may write
// to, is said to be so: whoever can write there can put another program in a guard's place between its digest and its start.
const probe = expand + `uname -sm; echo "$d"; if [ -e "$d" ]; then if [ ! -O "$d" ]; then echo foreign; else ` +
	`case $(ls -ldL "$d") in ?????w*|????????w*) echo open;; esac; fi; fi; cd "$d" 2>/dev/null || exit 0; ` +
	`for f in gameday-guard-* gameday-generator-* gameday-k6-*; do if [ -x "$f" ]; then sha256sum "$f"; fi; done; exit 0`

// Exit codes of place.
const (
	noFolder = 71 + iota
	noRoom
	noDigest
	wrongDigest
	noStart
)

// place takes a program on standard input, and gives it its name $2 only when it is whole, with the digest $3, and runs.
const place = expand + `umask 077; mkdir -p "$d" && [ -O "$d" ] || exit 71; case $(ls -ldL "$d") in ?????w*|????????w*) exit 71;; esac; ` +
	`t=$d/.${2%-*}.$$; trap 'rm -f "$t"' EXIT; ` +
	`cat >"$t" || exit 72; h=$(sha256sum "$t") || exit 73; [ "${h%% *}" = "$3" ] || exit 74; ` +
	`chmod 700 "$t" && "$t" --version >/dev/null || exit 75; mv -f "$t" "$d/$2"`

// remove takes away every program that was copied, and what is left of copies that were cut short, and the folder if nothing else is in
// it. It says what stays.
const remove = expand + `cd "$d" 2>/dev/null || exit 0; rm -f gameday-guard-* .gameday-guard.* gameday-generator-* .gameday-generator.* gameday-k6-* .gameday-k6.* || exit 1; ` +
	`ls -A | while read -r f; do echo "stays $f"; done; cd / && rmdir "$d" 2>/dev/null; exit 0`

// there is what stands on a host.
type there struct {
	system, machine string // uname -s, -m
	folder          string // absolute
	digests         map[string]string
}

// look finds out what stands on the host. It touches nothing there.
func (h *Host) look(ctx context.Context) (there, error) {
	out, err := ssh.Run(ctx, h.settings.SSH, nil, probe, h.settings.install())
	if err != nil {
		return there{}, err
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	// A login script that prints something does so before.
	i := 0
	for i < len(lines)-1 && len(strings.Fields(lines[i])) != 2 {
		i++
	}
	if len(lines)-i < 2 {
		return there{}, fmt.Errorf("host %s: asking what it is: the answer %q is not understood", h, clip(out))
	}
	words := strings.Fields(lines[i])
	t := there{system: words[0], machine: words[1], folder: lines[i+1], digests: map[string]string{}}
	for _, line := range lines[i+2:] {
		if line == "foreign" {
			return t, fmt.Errorf("host %s: the folder %s belongs to somebody else, who could put another program in the place of "+
				"gameday's; name a folder of your own with install", h, t.folder)
		}
		if line == "open" {
			return t, fmt.Errorf("host %s: others may write to the folder %s, and put another program in the place of gameday's; chmod go-w %s "+
				"over there, or name another folder with install", h, t.folder, t.folder)
		}
		if digest, name, ok := strings.Cut(line, "  "); ok {
			t.digests[name] = digest
		}
	}
	if t.system != "Linux" {
		return t, fmt.Errorf("host %s runs %s: programs are copied to hosts with Linux only", h, t.system)
	}
	return t, nil
}

// ready returns the path of the guard on the host that is the one to use. It is copied if need be, and may.
func (h *Host) ready(ctx context.Context, copying bool) (path string, copied bool, err error) {
	if given := h.settings.Guard; given != "" {
		return given, false, nil
	}
	t, err := h.look(ctx)
	if err != nil {
		return "", false, err
	}
	return h.readyOf(ctx, t, h.pool.Programs, copying)
}

// readyOf is ready for any of the programs, on a host that was looked at.
func (h *Host) readyOf(ctx context.Context, t there, programs *Programs, copying bool) (path string, copied bool, err error) {
	program, err := programs.For(t.machine)
	if err != nil {
		return "", false, fmt.Errorf("host %s: %w", h, err)
	}
	path = t.folder + "/" + program.Name()
	if t.digests[program.Name()] == program.Digest {
		return path, false, nil
	}
	if !copying {
		return "", false, fmt.Errorf("host %s: the %s %w: %s", h, program.role.word, ErrNotInstalled, program.role.copier(t.folder))
	}
	return path, true, h.copy(ctx, program, t.folder)
}

func (h *Host) copy(ctx context.Context, p Program, folder string) error {
	f, err := os.Open(p.Path)
	if err != nil {
		return fmt.Errorf("host %s: copying the %s: %w", h, p.role.word, err)
	}
	defer f.Close()
	_, err = ssh.Run(ctx, h.settings.SSH, f, place, h.settings.install(), p.Name(), p.Digest)
	var failed *ssh.ExitError
	if !errors.As(err, &failed) {
		return err
	}
	word := p.role.word
	elsewhere := fmt.Sprintf("; name another folder with install, or a %s that is there already with %s", word, p.role.given)
	var what, next string
	switch failed.Code {
	case noFolder:
		what, next = "the folder "+folder+" cannot be made, or is somebody else's, or others may write to it", elsewhere
	case noRoom:
		what, next = "the "+word+" cannot be written to "+folder, "; make room"+strings.Replace(elsewhere, ";", ",", 1)
	case noDigest:
		what, next = "what was copied cannot be verified", "; install sha256sum (coreutils or busybox) there"
	case wrongDigest:
		what, next = "the "+word+" did not arrive whole, and was removed", "; try again"
	case noStart:
		what, next = "the "+word+" cannot be started in "+folder+" (is it mounted noexec?)", elsewhere
	default:
		what = "copying the " + word + " to " + folder
	}
	said := ""
	if failed.Said != "" {
		said = ": " + failed.Said
	}
	return fmt.Errorf("host %s: %s%s%s", h, what, said, next)
}

// Install copies the guard to the host unless it is there. It reports the path, and whether it was copied now.
func (h *Host) Install(ctx context.Context) (path string, copied bool, err error) {
	return h.ready(ctx, true)
}

// Remove takes every program that was copied off the host, running ones too: they hold what they hold until their game day
// is over. It returns what stays in the folder, which is not gameday's; an empty folder goes. A guard that was there already, named
// by the settings, is not gameday's to remove.
func (h *Host) Remove(ctx context.Context) (stays []string, err error) {
	out, err := ssh.Run(ctx, h.settings.SSH, nil, remove, h.settings.install())
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "stays "); ok { // else a login script said it
			stays = append(stays, name)
		}
	}
	return stays, nil
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

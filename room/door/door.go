// Package door says who may come into a room: by links, each for one person and one run, used once; and how much anybody may ask.
package door

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"gameday/room"
)

// Guest is somebody who may come in.
type Guest struct {
	Name string    `json:"name"`
	Role room.Role `json:"role"`
	Run  string    `json:"run"`
}

// Errors of tokens that are refused. None says anything of the run or of anybody else.
var (
	ErrUnknown = errors.New("nobody gave out this link, or it was taken back")
	ErrExpired = errors.New("this link has expired")
	ErrUsed    = errors.New("this link was used already")
	ErrOther   = errors.New("this link is for another game day")
	ErrFull    = errors.New("too many links are out")
)

// Bounds.
const (
	tokenBytes  = 32
	mostPasses  = 5000
	longestName = 60 // bytes
)

// pass is a link or what it was exchanged for.
type pass struct {
	Guest
	Expires time.Time `json:"expires"`
	Used    time.Time `json:"used,omitzero"` // of a link
}

// Door keeps who may come in. Of a token it keeps the SHA-256 and nothing else, and it is safe for concurrent use. The clock is
// time.Now.
type Door struct {
	file string
	say  func(string)

	mu       sync.Mutex
	links    map[string]pass // by digest of the token
	sessions map[string]pass // by digest of the cookie
	unkept   bool            // the file could not be written the last time
}

// kept is what is in the file.
type kept struct {
	Links    map[string]pass `json:"links"`
	Sessions map[string]pass `json:"sessions"`
}

// New returns a door that is forgotten with the process.
func New() *Door { return &Door{links: map[string]pass{}, sessions: map[string]pass{}} }

// Open returns a door that is kept in a file, which only its owner may read. The file may be missing, and one process at a time may have
// it. While it cannot be written, say is told once, and the file is taken away: people come in and are known until this process ends.
func Open(file string, say func(string)) (*Door, error) {
	d := New()
	d.file, d.say = file, say
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading who may come in: %w", err)
	}
	k := kept{d.links, d.sessions}
	if err := json.Unmarshal(text, &k); err != nil {
		return nil, fmt.Errorf("reading who may come in from %s: %w; remove the file to begin anew, which makes every link and everybody's session void", file, err)
	}
	d.links, d.sessions = k.Links, k.Sessions
	if d.links == nil || d.sessions == nil {
		return nil, fmt.Errorf("reading who may come in from %s: it lacks links or sessions; remove the file to begin anew", file)
	}
	return d, nil
}

// Link gives out a link's token for somebody, to be used once within a time. It is never shown again.
func (d *Door) Link(g Guest, within time.Duration) (token string, err error) {
	if err := check(g); err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget()
	if len(d.links) >= mostPasses {
		return "", ErrFull
	}
	token, digest := fresh()
	d.links[digest] = pass{Guest: g, Expires: time.Now().Add(within)}
	if err := d.save(); err != nil {
		delete(d.links, digest)
		return "", err
	}
	return token, nil
}

// check refuses guests whose name cannot be signed with.
func check(g Guest) error {
	if _, err := room.ParseRole(string(g.Role)); err != nil {
		return err
	}
	if g.Run == "" {
		return errors.New("a link is for one run, and none is named")
	}
	return CheckName(g.Name)
}

// CheckName says what is wrong with a person's name.
func CheckName(name string) error {
	odd := func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune("()<>", r)
	}
	switch {
	case strings.TrimSpace(name) == "":
		return errors.New("a person needs a name, as sources of responses know them")
	case len(name) > longestName || !utf8.ValidString(name) || strings.ContainsFunc(name, odd) || name != strings.TrimSpace(name):
		return fmt.Errorf("a person's name has up to %d bytes of plain text, without brackets", longestName)
	}
	return nil
}

// Look says whether a link could be used now, and uses nothing: programs that preview links come before people do.
func (d *Door) Look(token, run string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, _, err := d.look(token, run)
	return err
}

func (d *Door) look(token, run string) (digest string, p pass, err error) {
	digest = digestOf(token)
	p, ok := d.links[digest]
	switch {
	case !ok:
		return digest, p, ErrUnknown
	case p.Run != run:
		return digest, p, ErrOther
	case !p.Used.IsZero():
		return digest, p, ErrUsed
	case !time.Now().Before(p.Expires):
		return digest, p, ErrExpired
	}
	return digest, p, nil
}

// Enter uses a link and returns what the browser keeps in its place, for a time. When a link is refused, the guest is whom it was
// for, if anybody, for the log.
func (d *Door) Enter(token, run string, keep time.Duration) (cookie string, g Guest, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	digest, p, err := d.look(token, run)
	if err != nil {
		return "", p.Guest, err
	}
	d.forget()
	if len(d.sessions) >= mostPasses {
		return "", p.Guest, ErrFull
	}
	cookie, key := fresh()
	was := p
	p.Used = time.Now()
	// A link that was used stays until nobody could mistake it for one that never was.
	p.Expires = p.Used.Add(max(keep, p.Expires.Sub(p.Used)))
	d.links[digest], d.sessions[key] = p, pass{Guest: p.Guest, Expires: time.Now().Add(keep)}
	if err := d.save(); err != nil { // what is not on disk could be used again after a restart
		d.links[digest] = was
		delete(d.sessions, key)
		return "", p.Guest, err
	}
	return cookie, p.Guest, nil
}

// Who returns whose session a cookie is.
func (d *Door) Who(cookie, run string) (Guest, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.sessions[digestOf(cookie)]
	switch {
	case !ok:
		return Guest{}, ErrUnknown
	case p.Run != run:
		return Guest{}, ErrOther
	case !time.Now().Before(p.Expires):
		return Guest{}, ErrExpired
	}
	return p.Guest, nil
}

// Forgo takes back the links of somebody that nobody has used, and returns how many there were: of two links for one person, the one that
// went astray must not let anybody in.
func (d *Door) Forgo(g Guest) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for k, p := range d.links {
		if p.Guest == g && p.Used.IsZero() {
			delete(d.links, k)
			n++
		}
	}
	if n == 0 {
		return 0, nil
	}
	return n, d.save()
}

// Leave ends a session.
func (d *Door) Leave(cookie string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := digestOf(cookie)
	if _, ok := d.sessions[key]; !ok { // anybody may ask, and writing to a disk takes time
		return nil
	}
	delete(d.sessions, key)
	return d.save()
}

// Revoke takes back all links and sessions of a person for a run, and returns how many there were.
func (d *Door) Revoke(name, run string) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, m := range []map[string]pass{d.links, d.sessions} {
		for k, p := range m {
			if p.Name == name && p.Run == run {
				delete(m, k)
				n++
			}
		}
	}
	return n, d.save()
}

// forget drops what has long expired, and what was used. The lock is held.
func (d *Door) forget() {
	now := time.Now()
	for _, m := range []map[string]pass{d.links, d.sessions} {
		for k, p := range m {
			if now.Sub(p.Expires) > 24*time.Hour {
				delete(m, k)
			}
		}
	}
}

// save writes the file anew: whole, or not at all. Where it cannot be written, it is taken away: what is not on disk is void after a
// restart, and what is there although it was used could be used again. The lock is held.
func (d *Door) save() error {
	if d.file == "" {
		return nil
	}
	err := d.write()
	if err == nil {
		d.unkept = false
		return nil
	}
	if gone := os.Remove(d.file); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		return fmt.Errorf("keeping who may come in: %w", errors.Join(err, gone))
	}
	if !d.unkept {
		d.unkept = true
		d.say(fmt.Sprintf("who may come in cannot be kept, so that a restart sends everybody away: %v", err))
	}
	return nil
}

// write writes the file anew.
func (d *Door) write() error {
	text, err := json.Marshal(kept{d.links, d.sessions})
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(d.file), ".door-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), d.file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	folder, err := os.Open(filepath.Dir(d.file)) // else a power cut brings the old one back, and with it links that were used
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// fresh returns a random token of 256 bits, and its digest.
func fresh() (token, digest string) {
	var raw [tokenBytes]byte
	rand.Read(raw[:]) // it never fails: the program ends instead
	token = base64.RawURLEncoding.EncodeToString(raw[:])
	return token, digestOf(token)
}

// digestOf is what is kept of a token. A token is as random as its digest, so none is slow to guess by its time.
func digestOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

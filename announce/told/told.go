// Package told keeps on disk what is to be told and what was: a file for each message of each channel, in a folder that several
// processes and machines may share. A message is written down before anybody tries to send it, and what became of each try after
// it, so that whoever comes next goes on where one that died broke off.
//
// A file has one JSON object a line: the message first, then what happened to it. It is only ever appended to, by whoever holds its
// lock, which the death of a process lets go of; a last line that is torn does not count. The file system must have hard links and
// locks, between machines as well if several share it.
//
// A message is sent at least once, and not again once a server has taken it. Only when a sender dies between the two, or a server
// takes a message and its answer is lost, may it be sent twice; it has the same identity then.
package told

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"gameday/announce"
)

// What a Line tells.
const (
	Sending   = "sending"   // somebody is about to try
	Delivered = "delivered" // the server has taken it
	Failed    = "failed"    // it has not; another round follows
	GivenUp   = "given up"  // no other round follows
	Expired   = "expired"   // it was of no use any more before anybody told it
)

// Line is what happened to a message.
type Line struct {
	At    time.Time `json:"at"`
	What  string    `json:"what"`
	By    string    `json:"by,omitempty"`
	Why   string    `json:"why,omitempty"`       // the server's answer, or what went wrong; without secrets
	Tries int       `json:"tries,omitempty"`     // in this round
	Next  time.Time `json:"not_before,omitzero"` // when the next round may begin
	Asked bool      `json:"asked,omitempty"`     // the server asked for that wait
	Early bool      `json:"early,omitempty"`     // it is sent before its next round, for the sake of something new
}

// Settled reports whether nothing more is to be done.
func (l Line) Settled() bool { return l.What == Delivered || l.What == GivenUp || l.What == Expired }

// Folder is where messages are kept. It is safe for use by many processes.
type Folder struct {
	// Fate says what became of a run that a message watches; nil knows of none.
	Fate func(watch string) Fate
	// Ready says whether a channel can be told from here; nil is always. Messages of one that cannot are left as they are, to others. It may be called by several
	// goroutines at once.
	Ready func(channel string) bool

	dir     string
	settled sync.Map // names of files of which nothing more is to be done
}

// Open returns a folder, which it makes if need be. Only its user may read it: what facilitators are told is in it.
func Open(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of announcements: %w", err)
	}
	return &Folder{dir: dir}, nil
}

// first is the first line of a message's file.
type first struct {
	Posted time.Time `json:"posted"`
	announce.Draft
}

// kept reports whether there is a message of a key.
func (f *Folder) kept(key string) bool {
	name, err := fileOf(key)
	if err == nil {
		_, err = os.Stat(filepath.Join(f.dir, name))
	}
	return err == nil
}

// needless reports whether a message is of no use because of another one that is kept.
func (f *Folder) needless(d announce.Draft) bool { return d.Unless != "" && f.kept(d.Unless) }

// Post writes down a message that is to be told, unless it is there already or of no use; fresh says that it is. When it returns, the
// message is on disk.
func (f *Folder) Post(d announce.Draft, now time.Time) (fresh bool, err error) {
	file, err := f.post(d, now)
	if file == nil {
		return false, err
	}
	return true, file.Close()
}

// post keeps a message, and returns its file, open and locked; nil when it is there already or of no use.
func (f *Folder) post(d announce.Draft, now time.Time) (*os.File, error) {
	name, err := fileOf(d.Key)
	if err != nil {
		return nil, err
	}
	if f.kept(d.Key) || f.needless(d) {
		return nil, nil
	}
	data, err := json.Marshal(first{now.UTC().Round(0), d})
	if err != nil {
		return nil, fmt.Errorf("keeping an announcement: %w", err)
	}
	file, err := f.create(name, append(data, '\n'))
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("keeping an announcement: %w", err)
	}
	f.settled.Delete(name) // of one that somebody took away
	return file, nil
}

// fileOf returns the name of a message's file.
func fileOf(key string) (string, error) {
	if key == "" || len(key) > 200 || strings.HasPrefix(key, ".") || strings.ContainsFunc(key, func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return "", fmt.Errorf("keeping an announcement: %q cannot name a file", key)
	}
	return key + ".jsonl", nil
}

// create makes a file that must not be there, with its whole content, and returns it open and locked: a link to one that is on disk already.
func (f *Folder) create(name string, data []byte) (*os.File, error) {
	draft, err := os.CreateTemp(f.dir, ".draft-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(draft.Name())
	if err = syscall.Flock(int(draft.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		_, err = draft.Write(data)
	}
	if err == nil {
		err = draft.Sync()
	}
	if err == nil {
		err = os.Link(draft.Name(), filepath.Join(f.dir, name))
	}
	if err == nil {
		err = f.sync()
	}
	if err != nil {
		draft.Close()
		return nil, err
	}
	return draft, nil
}

func (f *Folder) sync() error {
	d, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Kept is a message with what happened to it.
type Kept struct {
	Posted time.Time
	Draft  announce.Draft
	Lines  []Line
}

// since returns from when on it is to be told.
func (k *Kept) since() time.Time {
	if k.Draft.NotBefore.After(k.Posted) {
		return k.Draft.NotBefore
	}
	return k.Posted
}

// Last returns what happened last; its What is empty when nothing did.
func (k *Kept) Last() Line {
	if len(k.Lines) == 0 {
		return Line{}
	}
	return k.Lines[len(k.Lines)-1]
}

// expired reports whether the message is of no use any more.
func (k *Kept) expired(now time.Time) bool {
	return !k.Draft.Expires.IsZero() && now.After(k.Draft.Expires)
}

// List returns all messages, by their keys. Those that cannot be read are named in the error, beside the others.
func (f *Folder) List() ([]Kept, error) {
	names, err := f.names()
	if err != nil {
		return nil, err
	}
	var out []Kept
	var errs []error
	for _, name := range names {
		k, err := read(filepath.Join(f.dir, name))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, *k)
	}
	return out, errors.Join(errs...)
}

func (f *Folder) names() ([]string, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("reading what was announced: %w", err)
	}
	var out []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && strings.HasSuffix(e.Name(), ".jsonl") {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// maxFile bounds a message's file.
const maxFile = 1 << 20

func read(path string) (*Kept, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading what was announced: %w", err)
	}
	defer file.Close()
	return decode(file)
}

// decode reads a message's file. Lines after the first that are no JSON are left out: a crash tore them.
func decode(file *os.File) (*Kept, error) {
	text, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return nil, fmt.Errorf("reading what was announced: %w", err)
	}
	head, rest, _ := bytes.Cut(text, []byte("\n"))
	var m first
	err = json.Unmarshal(head, &m)
	k := &Kept{Posted: m.Posted, Draft: m.Draft}
	if err != nil || k.Draft.Key == "" {
		return nil, fmt.Errorf("reading what was announced: %s has no message in its first line; nobody knows what it was", file.Name())
	}
	for raw := range bytes.Lines(rest) {
		var l Line
		if json.Unmarshal(raw, &l) == nil && l.What != "" {
			k.Lines = append(k.Lines, l)
		}
	}
	return k, nil
}

// Report is what became of one message in a flush.
type Report struct {
	Draft announce.Draft
	Line  Line
}

// Send tries to tell a message. It ends when ctx does.
type Send func(ctx context.Context, d announce.Draft) announce.Outcome

// Flush sends what is due to channels that are mine, to each by itself, in the order in which it became due. With what is new to a channel, what it did not
// take before is tried again as well, and first. Behind a message that is not taken nothing is tried, but for another one when that has failed several times; what waits there has
// its turn with that message's next one, and after the longest pause at the latest, for however long the server asked of that one. It returns when all was tried or ctx has ended, and says what became of each; next is when something else is
// due, zero when nothing is. What somebody else is sending is left to them, and messages of other channels are left as they are.
func (f *Folder) Flush(ctx context.Context, now func() time.Time, by string, mine func(channel string) bool, send Send) (done []Report, next time.Time, err error) {
	queues, next, errs := f.queues(now(), mine)
	type result struct {
		reports []Report
		behind  time.Time
		err     error
	}
	results := make(chan result)
	for _, queue := range queues {
		go func() {
			var r result
			r.reports, r.behind, r.err = f.inTurn(ctx, queue, now, by, send)
			results <- r
		}()
	}
	for range queues {
		r := <-results
		done, errs, next = append(done, r.reports...), append(errs, r.err), sooner(next, r.behind)
	}
	slices.SortFunc(done, func(a, b Report) int { return strings.Compare(a.Draft.Key, b.Draft.Key) })
	return done, next, errors.Join(errs...)
}

// inTurn tries the messages of one channel, until what comes after them would fail as well: then behind is when that has its turn.
func (f *Folder) inTurn(ctx context.Context, queue []*Kept, now func() time.Time, by string, send Send) (done []Report, behind time.Time, err error) {
	failed := 0
	var held time.Time
	for i, k := range queue {
		if ctx.Err() != nil {
			break
		}
		report, wrong := f.round(ctx, k.Draft.Key, now, by, send)
		err = errors.Join(err, wrong)
		if report == nil {
			continue
		}
		done = append(done, *report)
		if report.Line.What != Failed {
			continue
		}
		if ends := holds(report.Line); ends.After(held) {
			held = ends
		}
		if failed++; failed > 1 || k.rounds() < stubborn { // what comes after it would fail as well, and wait as long
			if i < len(queue)-1 {
				behind = held
			}
			break
		}
	}
	return done, behind, err
}

// queues returns what is to be sent now, by channel, and when something else is.
func (f *Folder) queues(now time.Time, mine func(string) bool) (out map[string][]*Kept, next time.Time, errs []error) {
	names, err := f.names()
	errs = append(errs, err)
	out = map[string][]*Kept{}
	failed := map[string][]*Kept{} // by channel, what it did not take and is still to be told
	for _, name := range names {
		if _, over := f.settled.Load(name); over {
			continue
		}
		k, err := read(filepath.Join(f.dir, name))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if k.Last().Settled() {
			f.settled.Store(name, true)
			continue
		}
		if !mine(k.Draft.Channel) {
			continue
		}
		due, at := k.due(now, false)
		if due && !k.expired(now) {
			if fate := f.fate(k); fate == FateUnknown || fate == FateGoesOn {
				continue
			}
		}
		next = sooner(next, at)
		if early, _ := k.due(now, true); early {
			out[k.Draft.Channel] = append(out[k.Draft.Channel], k)
		}
		if k.Last().What == Failed {
			failed[k.Draft.Channel] = append(failed[k.Draft.Channel], k)
		}
	}
	for channel, queue := range out {
		called, turn := false, time.Time{}
		for _, k := range queue {
			calls, at := k.calls(now, failed[channel])
			called, turn = called || calls, sooner(turn, at)
		}
		if !called {
			delete(out, channel)
			next = sooner(next, turn)
			continue
		}
		slices.SortFunc(queue, (*Kept).order)
	}
	return out, next, errs
}

// round tries one message, if nobody else is at it.
func (f *Folder) round(ctx context.Context, key string, now func() time.Time, by string, send Send) (*Report, error) {
	file, err := os.OpenFile(filepath.Join(f.dir, key+".jsonl"), os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return nil, fmt.Errorf("sending an announcement: %w", err)
	}
	defer file.Close()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("sending an announcement: locking %s: %w", file.Name(), err)
	}
	k, err := decode(file) // whoever had the lock may have sent it
	if err != nil {
		return nil, err
	}
	if due, _ := k.due(now(), true); !due {
		return nil, nil
	}
	if f.needless(k.Draft) {
		return nil, appendLine(file, Line{At: now(), What: Expired, By: by, Why: "how it ended is told"})
	}
	if k.expired(now()) {
		return settle(file, k, Line{What: Expired, By: by, Why: "it was to be told by " + k.Draft.Expires.UTC().Format(time.RFC3339)}, now)
	}
	if f.Ready != nil && !f.Ready(k.Draft.Channel) {
		return nil, nil
	}
	rounds := k.rounds()
	if rounds >= mostRounds { // the last one died while it was at it
		return settle(file, k, Line{What: GivenUp, By: by, Why: fmt.Sprintf("%d times somebody set out to send it, and nobody knows that it was taken", rounds)}, now)
	}
	turn, _ := k.due(now(), false)
	if err := appendLine(file, Line{At: now(), What: Sending, By: by, Early: !turn}); err != nil {
		return nil, err
	}
	out := send(ctx, k.Draft)
	l := Line{By: by, Tries: out.Tries, Why: out.Text, What: Delivered}
	if out.Err != nil {
		l.What, l.Why = Failed, out.Err.Error()
		l.Next, l.Asked = k.after(now(), out.After, turn), out.After > 0
		switch {
		case out.Final, turn && rounds+1 >= mostRounds:
			l.What, l.Next = GivenUp, time.Time{}
		case !k.Draft.Expires.IsZero() && l.Next.After(k.Draft.Expires):
			l.What, l.Next = GivenUp, time.Time{}
			l.Why += "; later it would be of no use"
		}
	}
	return settle(file, k, l, now)
}

func settle(file *os.File, k *Kept, l Line, now func() time.Time) (*Report, error) {
	l.At = now()
	if err := appendLine(file, l); err != nil {
		return nil, err
	}
	l.At = l.At.UTC().Round(0)
	return &Report{k.Draft, l}, nil
}

// appendLine writes a line, after the end of one that was torn.
func appendLine(file *os.File, l Line) error {
	l.At = l.At.UTC().Round(0)
	if !l.Next.IsZero() {
		l.Next = l.Next.UTC().Round(0)
	}
	data, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("keeping what was announced: %w", err)
	}
	var last [1]byte
	if info, err := file.Stat(); err == nil && info.Size() > 0 {
		if _, err := file.ReadAt(last[:], info.Size()-1); err == nil && last[0] != '\n' {
			data = append([]byte("\n"), data...)
		}
	}
	if _, err := file.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("keeping what was announced: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("keeping what was announced: %w", err)
	}
	return nil
}

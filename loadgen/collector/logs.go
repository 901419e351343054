package collector

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
	"gameday/loadgen/podlogs"
	"gameday/loadgen/remote"
)

const (
	// renewal is how often a runner that prints is let know that the game day is there. Its lease bears some that are lost.
	renewal = 10 * time.Second
	// unheard is after how long without a line such a runner is taken for dead: it has stopped by itself by then, if nobody could tell it anything
	// either. Otherwise it is told nothing more, and stops when its lease has lapsed.
	unheard = loadgen.LogsLease + renewal
	// lastWords is how long it may take until the log tells how a runner has stopped that was told to.
	lastWords = 30 * time.Second
	// readRest is how long what a runner has printed may take to be here, once its pod is said to have ended.
	readRest = 10 * time.Second
	// maxUnread bounds what was heard of a runner and not taken yet.
	maxUnread = 64 << 20
)

// Logs is a stream whose segments are sent by runners that print what they have to tell, because they reach nobody. Whoever starts them hands on
// what they print, and what they are to be told. Its methods may be called from any goroutine.
type Logs struct {
	version  string
	token    token
	patience time.Duration
	all      []*printing
}

// NewLogs makes a stream of so many segments for runners of a version of gameday, which may take as long as patience to come after its
// traffic was asked for.
func NewLogs(version string, segments int, patience time.Duration) (*Logs, error) {
	if segments < 1 || segments > maxSegments {
		return nil, fmt.Errorf("a stream of %d segments: there are 1 to %d", segments, maxSegments)
	}
	l := &Logs{version: version, patience: patience}
	_, _ = rand.Read(l.token.secret[:]) // it never fails
	for i := range segments {
		key := podlogs.NewKey(l.token.secret[:], i)
		l.all = append(l.all, &printing{logs: l, index: i, reader: podlogs.NewReader(key), outbox: podlogs.Outbox{Key: key},
			news: make(chan struct{}, 1), greeted: make(chan printedHello, 1), given: make(chan struct{}),
			ended: make(chan struct{})})
	}
	return l, nil
}

// Token returns what runners of the stream need to be given. It is a secret.
func (l *Logs) Token() string { return l.token.String() }

// Runners returns what the stream's runners send by, in the order of their segments. Each can be run once.
func (l *Logs) Runners() []loadgen.Runner {
	var out []loadgen.Runner
	for i, p := range l.all {
		out = append(out, loadgen.Runner{Name: loadgen.RunnerName(i), Generator: p})
	}
	return out
}

// Lost says that the i-th runner, from 0, has come to its end, or will not come, and why. What it has printed is heard all the same.
func (l *Logs) Lost(i int, why error) {
	if i >= 0 && i < len(l.all) {
		l.all[i].give(why)
	}
}

// Close lets nobody come any more.
func (l *Logs) Close() {
	for _, p := range l.all {
		p.give(errors.New("the stream is over"))
	}
}

// posts has what runners are to be told handed on by post, which does not wait.
func (l *Logs) posts(post func(i int, sealed string)) {
	for _, p := range l.all {
		p.mu.Lock()
		p.post = post
		p.mu.Unlock()
	}
}

// heard takes a piece of what the i-th runner's pod has printed, and returns what of it is no message.
func (l *Logs) heard(i int, piece []byte) (rest []byte) { return l.all[i].hear(piece) }

// ended says that nothing more comes of the i-th runner's log, and returns what else it has printed last, without an end. Why, Lost says.
func (l *Logs) ended(i int) (rest []byte) {
	if i < 0 || i >= len(l.all) {
		return nil
	}
	p := l.all[i]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.wake()
	select {
	case <-p.ended:
	default:
		close(p.ended)
	}
	return p.reader.End()
}

// printedHello is the first message of a runner that prints.
type printedHello struct {
	Protocol int             `json:"protocol"`
	Version  string          `json:"version"`
	Segment  loadgen.Segment `json:"segment"`
	Who      string          `json:"who"`
	gone     bool            // it was not read
}

// printing is this end of one runner that prints. It is also the connection to it, for package remote.
type printing struct {
	logs  *Logs
	index int

	mu     sync.Mutex
	reader *podlogs.Reader
	came   bool
	unread []byte // lines
	over   bool   // nothing more comes, or is wanted
	lost   uint64 // lines that are gone, not said yet
	others bool   // another life of the runner was heard and said
	outbox podlogs.Outbox
	orders uint64        // put into it in all
	sent   []underway    // of those, what is not confirmed
	late   time.Duration // the longest that a change took to be confirmed, when that was too long; not said yet
	order  []byte        // a line that is not whole yet
	handed bool          // the stream was, by others than us
	posted time.Time     // the last orders
	post   func(int, string)
	fail   context.CancelCauseFunc
	log    func(level, text string)

	news    chan struct{} // holds one when there is something new to read
	greeted chan printedHello
	once    sync.Once
	given   chan struct{} // closed when nobody can come any more
	why     error         // for that; read after given
	ended   chan struct{} // closed when nothing more comes of its log
}

var _ loadgen.Generator = (*printing)(nil)

// Check finds nothing: the stream was checked here.
func (*printing) Check(context.Context, loadgen.Spec) []loadgen.Problem { return nil }

func (p *printing) give(why error) {
	p.once.Do(func() { p.why = why; close(p.given) })
}

func (p *printing) wake() {
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// hear takes the next piece of the log.
func (p *printing) hear(piece []byte) (rest []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	messages, rest := p.reader.Take(piece)
	for _, m := range messages {
		p.confirmed(m.Confirmed)
		p.lost += m.Lost
		switch {
		case !p.came:
			p.greet(m)
		case len(m.Text) > 0 && !p.over:
			p.unread = append(append(p.unread, m.Text...), '\n')
		}
	}
	if len(messages) > 0 && !p.over { // a confirmation alone is a word, too
		p.unread = append(p.unread, "{}\n"...)
	}
	if len(p.unread) > maxUnread && p.fail != nil {
		p.fail(fmt.Errorf("more than %d MiB of what it printed wait to be read", maxUnread>>20))
	}
	p.say()
	p.wake()
	return rest
}

// greet takes the first message.
func (p *printing) greet(m podlogs.Message) {
	var h printedHello
	if json.Unmarshal(m.Text, &h) != nil {
		h = printedHello{gone: true}
	}
	h.Who, h.Version = plain(h.Who), plain(h.Version)
	p.came = true
	p.outbox.Session, _ = p.reader.Session()
	p.greeted <- h // it holds one
}

// say tells people what they need to know of the log, once somebody listens.
func (p *printing) say() {
	if p.log == nil {
		return
	}
	if p.lost > 0 {
		p.log("warning", fmt.Sprintf("%d lines of what it printed are gone from its log: most likely its node has rotated it away before they were read. What it "+
			"did then is not known", p.lost))
		p.lost = 0
	}
	if p.late > 0 {
		p.log("warning", fmt.Sprintf("it was not seen to have what it was told until %s later, and a change counts %s after it is told: it may have come too late, and what was "+
			"due by then was made up for", p.late.Round(100*time.Millisecond), loadgen.LogsLead))
		p.late = 0
	}
	if p.reader.Others() && !p.others {
		p.others = true
		p.log("warning", "another pod prints for its segment, and is not listened to: a segment is given out once")
	}
}

// Run waits for the runner and passes its windows on, until it has stopped as it was told, is gone or silent, or ctx ends. An error says who the
// runner was.
func (p *printing) Run(ctx context.Context, spec loadgen.Spec, emit func(loadgen.Window)) error {
	h, err := p.await(ctx, spec.Commands)
	if h == nil || err != nil {
		return err
	}
	switch {
	case h.gone:
		return errors.New("the begin of its log, which says who it is, was gone before it was read: most likely its node has " +
			"rotated it away. Let the script print less, and see whether the API server was away when its pod began")
	case h.Protocol != Protocol || h.Version != p.logs.version:
		return fmt.Errorf("%s is gameday %s, and the game day is of %s: give the runners an image of the same version", h.Who, h.Version, p.logs.version)
	case h.Segment != loadgen.Segment{Index: p.index, Of: len(p.logs.all)}:
		return fmt.Errorf("%s sends segment %d of %d, which is not what it was asked for", h.Who, h.Segment.Index+1, h.Segment.Of)
	}
	within := spec.SetupWithin
	if within == 0 {
		within = defaultSetup
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(p.logs.patience+within, func() {
		cancel(fmt.Errorf("it was not ready to begin within %s", p.logs.patience+within))
	})
	defer late.Stop()
	prepared := spec.Prepared
	spec.Prepared = func() {
		late.Stop()
		prepared()
	}
	p.mu.Lock()
	p.fail, p.log = cancel, spec.Log
	p.say()
	p.mu.Unlock()
	over := make(chan struct{})
	defer close(over)
	spec.Commands, spec.Files = bounded(spec.Commands, over, cancel), nil
	way := remote.Way{Silence: unheard, Pace: renewal, Slowest: loadgen.LogsLead}
	if err = way.Over(ctx, p.logs.version, p, spec, emit); err == nil {
		return nil
	}
	return fmt.Errorf("%w (it was %s)", err, h.Who)
}

// bounded passes commands on, and bounds how long it may take until the last is obeyed.
func bounded(commands <-chan loadgen.Command, over <-chan struct{}, fail context.CancelCauseFunc) <-chan loadgen.Command {
	out := make(chan loadgen.Command)
	go func() {
		for {
			select {
			case c, ok := <-commands:
				c.Stop = c.Stop || !ok
				select {
				case out <- c:
				case <-over:
					return
				}
				if !c.Stop {
					continue
				}
				timer := time.NewTimer(lastWords)
				defer timer.Stop()
				select {
				case <-timer.C:
					fail(fmt.Errorf("its log does not say %s after it was told to stop that it has", lastWords))
				case <-over:
				}
				return
			case <-over:
				return
			}
		}
	}()
	return out
}

// restOf returns how long more is waited for once something is known: not at all when nothing more can come.
func restOf(all bool) time.Duration {
	if all {
		return 0
	}
	return readRest
}

// await returns the runner's greeting; none when the stream was stopped before it came.
func (p *printing) await(ctx context.Context, commands <-chan loadgen.Command) (*printedHello, error) {
	patience := time.NewTimer(p.logs.patience)
	defer patience.Stop()
	rest := time.NewTimer(time.Hour)
	defer rest.Stop()
	rest.Stop()
	given, ended := p.given, p.ended
	for {
		select {
		case h := <-p.greeted:
			return &h, nil
		case <-given: // what it has printed may be on its way
			given = nil
			rest.Reset(restOf(ended == nil))
		case <-ended: // what became of its pod, too
			ended = nil
			rest.Reset(restOf(given == nil))
		case <-rest.C:
			select {
			case h := <-p.greeted:
				return &h, nil
			default:
			}
			if given != nil {
				return nil, errors.New("it never came: nothing is in its log")
			}
			return nil, fmt.Errorf("it never came: %w", p.why)
		case c, ok := <-commands:
			if !ok || c.Stop {
				return nil, nil
			}
		case <-patience.C:
			return nil, fmt.Errorf("it has not come within %s", p.logs.patience)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// FitsOrders returns an error when a command is larger than what can be told to a runner that prints.
func FitsOrders(c loadgen.Command) error {
	line, err := json.Marshal(child.Command{At: time.Hour, To: c.To, Over: c.Over, Then: c.Then})
	if err != nil {
		return err
	}
	_, err = podlogs.NewKey(nil, 0).Seal(podlogs.Orders{Lines: []json.RawMessage{line}})
	return err
}

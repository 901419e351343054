package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gameday/clock"
	"gameday/report"
	"gameday/report/history"
	"gameday/room/gate"
)

// Limits of what is shown of runs.
const (
	runsShown   = 25
	mostReading = 2         // records read at once: each is wholly in memory while it is
	mostRecord  = 128 << 20 // bytes of a record that is judged for a page
	mostPage    = 32 << 20  // bytes of a report
	cardsKept   = 64
	pagesKept   = mostPage // bytes of reports that were made for pages, of all together
	lostShown   = 12
	sendLimit   = 2 * time.Minute // for a report to be sent: a telephone takes a while
)

// runsPage is a part of the history.
type runsPage struct {
	Runs       []*Run
	Scenarios  []string
	Verdicts   []string
	Scenario   string // asked for
	Verdict    string
	All        int // that fit what was asked for
	First      int // number of the first that is shown, from 1; 0 when there is none
	Page       int
	Pages      int
	Newer      string // query of the page before; empty when there is none
	Older      string
	Skipped    []history.Skipped
	Incomplete bool // some may be missing that whoever looks may not know of
}

// verdictsAsked are what the history can be narrowed to.
var verdictsAsked = []string{"passed", "failed", "inconclusive", "aborted", "in progress", "not ended"}

// fits reports whether a run is of a result that is asked for.
func fits(r *Run, verdict string) bool {
	switch verdict {
	case "":
		return true
	case "in progress":
		return r.Going
	case "not ended":
		return !r.Going && !r.Over
	}
	return !r.Going && r.Over && !r.Search && r.Verdict.String() == verdict
}

func (s *Site) runs(v *visit) (any, error) {
	all, err := s.past(v.Context(), v.Role)
	if err != nil {
		return nil, err
	}
	q := v.URL.Query()
	p := &runsPage{Verdicts: verdictsAsked, Scenario: q.Get("scenario"), Verdict: q.Get("verdict"), Skipped: all.skipped, Incomplete: !v.leads()}
	if !slices.Contains(verdictsAsked, p.Verdict) {
		p.Verdict = ""
	}
	var list []*Run
	names := map[string]bool{}
	for _, r := range all.all {
		names[r.Scenario] = true
		if (p.Scenario == "" || r.Scenario == p.Scenario) && fits(r, p.Verdict) {
			list = append(list, r)
		}
	}
	p.Scenarios = slices.Sorted(maps.Keys(names))
	p.All, p.Pages = len(list), max(1, (len(list)+runsShown-1)/runsShown)
	n, _ := strconv.Atoi(q.Get("page"))
	p.Page = min(max(n, 1), p.Pages)
	from := (p.Page - 1) * runsShown
	p.Runs = list[from:min(len(list), from+runsShown)]
	if len(p.Runs) > 0 {
		p.First = from + 1
	}
	to := func(page int) string {
		u := url.Values{"page": {strconv.Itoa(page)}}
		for name, value := range map[string]string{"scenario": p.Scenario, "verdict": p.Verdict} {
			if value != "" {
				u.Set(name, value)
			}
		}
		return u.Encode()
	}
	if p.Page > 1 {
		p.Newer = to(p.Page - 1)
	}
	if p.Page < p.Pages {
		p.Older = to(p.Page + 1)
	}
	return p, nil
}

// Until returns the number of the last run that is shown.
func (p *runsPage) Until() int { return p.First + len(p.Runs) - 1 }

// runPage is one run.
type runPage struct {
	*Run
	Card   *card
	Why    string // there is no card
	Before *Run   // of the same scenario
	After  *Run
	Hidden bool // from those who play, until a facilitator reveals it
}

// card is what a page shows of a scorecard. It keeps nothing of the record.
type card struct {
	Score    string
	Verdict  string // in capitals
	Tone     string // the verdict's word
	Coverage string
	Pass     string
	Why      []string
	Summary  string
	Owner    string
	Parts    []partRow
	Lost     []lostRow
}

type partRow struct {
	Part           string
	Points         string
	Fill, Gap      string // percent of its bar
	Met, Of, Blank int    // promises: met, all, unknown
}

// lostRow is a promise that was not kept, or of which nobody knows.
type lostRow struct {
	Title, Measured, Limit string
	Outcome                string
	Required               bool
}

func (s *Site) run(v *visit) (any, error) {
	all, err := s.past(v.Context(), v.Role)
	if err != nil {
		return nil, err
	}
	r := all.find(v.PathValue("run"))
	if r == nil {
		return nil, errNothing
	}
	p := &runPage{Run: r, Hidden: v.leads() && r.Revealable() && !s.revealed(r)}
	i := slices.Index(all.all, r)
	for j, x := range all.all {
		switch {
		case x.Scenario != r.Scenario:
		case j < i:
			p.After = x
		case j > i && p.Before == nil:
			p.Before = x
		}
	}
	if r.Going {
		return p, nil
	}
	switch p.Card, err = s.card(v, r.Folder); {
	case errors.Is(err, errTooMuch):
		p.Why = "Too many records were asked for at once, so this one was not judged. Load the page again in a few seconds."
	case err != nil:
		p.Why = "Its record could not be judged for this page."
		if v.leads() {
			p.Why += " " + err.Error()
		}
		s.Say("judging a record for a page: " + err.Error())
	}
	return p, nil
}

// stamp tells one state of a record from another, and refuses those that are too long.
func stamp(dir string) (string, error) {
	text := dir
	for _, name := range []string{report.PlanFile, report.EventsFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		if info.Size() > mostRecord {
			return "", fmt.Errorf("%s has %d MB, and up to %d are read for a page; `gameday report` reads it", name, info.Size()>>20, mostRecord>>20)
		}
		text += fmt.Sprintf(" %d %d", info.Size(), info.ModTime().UnixNano())
	}
	return text, nil
}

// errTooMuch says that somebody asks for more records than they may.
var errTooMuch = errors.New("too many records were asked for at once")

// judgedBy returns what is made of a record, from what is kept if it is of the record as it is now. It is made when there is a place, if whoever
// asks may have it made; whoever waited for a place while somebody else made the same has that.
func judgedBy[T any](ctx context.Context, s *Site, kept *shelf[T], dir string, may func() bool, from func(*report.Scorecard) (T, int, error)) (out T, err error) {
	key, err := stamp(dir)
	if err != nil {
		return out, err
	}
	if out, ok := kept.get(key); ok {
		return out, nil
	}
	if !may() {
		return out, errTooMuch
	}
	select {
	case s.reading <- struct{}{}:
		defer func() { <-s.reading }()
	case <-ctx.Done():
		return out, ctx.Err()
	}
	if out, ok := kept.get(key); ok {
		return out, nil
	}
	rec, err := report.Read(dir)
	if err != nil {
		return out, err
	}
	out, size, err := from(report.Score(rec))
	if err == nil {
		kept.put(key, out, size)
	}
	return out, err
}

func (s *Site) card(v *visit, folder string) (*card, error) {
	dir, err := s.Data.Dir(folder)
	if err != nil {
		return nil, err
	}
	may := func() bool { return s.Gate.People.Allow(gate.Person(v.Guest)) } // many small records are as much work as a large one
	return judgedBy(v.Context(), s, &s.cards, dir, may, func(sc *report.Scorecard) (*card, int, error) { return cardOf(sc), 1, nil })
}

func cardOf(sc *report.Scorecard) *card {
	c := &card{Score: sc.ScoreWords(), Verdict: sc.VerdictWords(), Tone: sc.Verdict.String(), Coverage: report.Share(sc.Coverage), Pass: strconv.FormatFloat(sc.Pass, 'f', -1, 64),
		Why: sc.Why, Summary: sc.Summary, Owner: sc.Owner}
	for _, p := range sc.Parts {
		row := partRow{Part: string(p.Part), Points: scoreWords(p.Low, p.High) + " of " + strconv.FormatFloat(p.Points, 'f', -1, 64), Fill: "0", Gap: "0", Of: len(p.Items)}
		if p.Points > 0 {
			row.Fill = fmt.Sprintf("%.2f", min(100, 100*p.Low/p.Points))
			row.Gap = fmt.Sprintf("%.2f", max(0, min(100, 100*(p.High-p.Low)/p.Points)))
		}
		for _, it := range p.Items {
			switch it.Outcome {
			case clock.Met:
				row.Met++
				continue
			case clock.Unknown:
				row.Blank++
			}
			if len(c.Lost) < lostShown {
				c.Lost = append(c.Lost, lostRow{it.Title, it.Measured, it.Limit, it.Outcome.String(), it.Required})
			}
		}
		c.Parts = append(c.Parts, row)
	}
	return c
}

// reportPolicy is that of a report: its own style, and nothing else. What is in it came out of a record, and is in a box of its own.
const reportPolicy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// report serves a run's report: the kept one, or one that is made now where there is none, or the record has changed since.
func (s *Site) report(w http.ResponseWriter, r *http.Request) {
	v, ok := s.come(w, r)
	if !ok {
		return
	}
	all, err := s.past(r.Context(), v.Role)
	if err != nil {
		s.Say("a report could not be found: " + err.Error())
		s.refuse(w, r, http.StatusServiceUnavailable, "Which runs there are is not known just now.")
		return
	}
	run := all.find(r.PathValue("run"))
	if run == nil || run.Going {
		s.refuse(w, r, http.StatusNotFound, nothingHere)
		return
	}
	if !s.Gate.People.Allow(gate.Person(v.Guest)) { // it may be large, and may have to be made
		s.tooMuch(w, r)
		return
	}
	dir, err := s.Data.Dir(run.Folder)
	if err == nil {
		err = s.sendReport(w, r, dir)
	}
	if err != nil {
		s.Say("a report could not be shown: " + err.Error())
		why := "The report could not be made."
		if v.leads() {
			why += " " + err.Error()
		}
		s.refuse(w, r, http.StatusServiceUnavailable, why)
	}
}

// sendReport sends the report of a record. With an error nothing was sent.
func (s *Site) sendReport(w http.ResponseWriter, r *http.Request, dir string) error {
	var from io.Reader
	var size int64
	if file, n, err := keptPage(dir); err == nil {
		defer file.Close()
		from, size = file, n // of which no more is in memory than is being sent
	} else {
		text, err := judgedBy(r.Context(), s, &s.made, dir, func() bool { return true }, pageOf) // who asks was asked before
		if err != nil {
			return err
		}
		from, size = strings.NewReader(text), int64(len(text))
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(sendLimit))
	h := w.Header()
	h.Set("Content-Security-Policy", reportPolicy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	_, _ = io.CopyN(w, from, size) // whoever asked may have gone
	return nil
}

// pageOf makes a report, and tells how long it is.
func pageOf(sc *report.Scorecard) (string, int, error) {
	var b strings.Builder
	if err := report.HTML(&b, sc); err != nil {
		return "", 0, err
	}
	if b.Len() > mostPage {
		return "", 0, fmt.Errorf("it has %d MB, and up to %d are shown; `gameday report` writes it", b.Len()>>20, mostPage>>20)
	}
	return b.String(), b.Len(), nil
}

// reportFile is the name of the report that `gameday run` keeps in a record.
const reportFile = "report.html"

var errStale = errors.New("the report is older than its record, or no report")

// keptPage opens the report that is kept in a record, which no link leads out of, if it is not older than the record.
func keptPage(dir string) (*os.File, int64, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, 0, err
	}
	defer root.Close()
	events, err := root.Stat(report.EventsFile)
	if err != nil {
		return nil, 0, err
	}
	page, err := root.Lstat(reportFile)
	if err != nil {
		return nil, 0, err
	}
	if !page.Mode().IsRegular() || page.Size() > mostPage || page.ModTime().Before(events.ModTime()) {
		return nil, 0, errStale
	}
	file, err := root.Open(reportFile)
	if err != nil {
		return nil, 0, err
	}
	if info, err := file.Stat(); err != nil || !os.SameFile(info, page) || info.Size() != page.Size() {
		return nil, 0, errors.Join(errStale, err, file.Close())
	}
	return file, page.Size(), nil
}

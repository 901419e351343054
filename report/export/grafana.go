package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	annotationsPath = "/api/annotations"
	// pageLimit is how many annotations are asked for at once, and mostPages bounds how often.
	pageLimit, mostPages = 500, 40
	// mostRounds bounds how often it is looked what is there without that anything was written since.
	mostRounds = 4
)

// Tally is what became of annotations: how many were added, changed, or were there already as they are.
type Tally struct{ Added, Changed, Kept int }

// Grafana puts annotations there that are not there yet, and brings those up to date that have other times or words than
// now. It looks first which of the run are there, so that a second export doubles none, nor does one that was broken off:
// what was posted without an answer is looked for before it is posted again. Others' annotations are not touched, and none
// is taken away.
//
// The API: https://grafana.com/docs/grafana/latest/developers/http_api/annotations/.
func Grafana(ctx context.Context, d Destination, list []Annotation) (Tally, error) {
	u, err := CheckURL(d.URL)
	if err == nil && u.RawQuery != "" {
		err = errors.New("leave out everything from the question mark on")
	}
	if err != nil {
		return Tally{}, err
	}
	d.URL = strings.TrimRight(d.URL, "/")
	s, err := newSender(d)
	if err != nil || len(list) == 0 {
		return Tally{}, err
	}
	defer s.close()
	g := &grafana{sender: s, list: list, added: map[string]bool{}, changed: map[string]bool{}}
	pause := firstPause
	for round := 1; ; round++ {
		before := g.done
		err := g.annotate(ctx)
		if err == nil {
			return Tally{len(g.added), len(g.changed), len(list) - len(g.added) - len(g.changed)}, nil
		}
		if !mayPass(err) || round == mostRounds || ctx.Err() != nil {
			return Tally{}, err
		}
		if g.done > before { // it goes on, however slowly
			round, pause = 0, firstPause
		}
		if err := wait(ctx, err, pause); err != nil {
			return Tally{}, err
		}
		pause *= 2
	}
}

// mayPass reports whether the same may be accepted later.
func mayPass(err error) bool {
	var lost unanswered
	var no *refusal
	return errors.As(err, &lost) || errors.As(err, &no) && no.again
}

// grafana is one export.
type grafana struct {
	*sender
	list []Annotation
	// added and changed are the keys of what this export sent, and done is how much of it was answered.
	added, changed map[string]bool
	done           int
}

// stored is an annotation as Grafana has it. Times are Unix milliseconds.
type stored struct {
	ID      int64    `json:"id"`
	Time    int64    `json:"time"`
	TimeEnd int64    `json:"timeEnd"` // as Time, or 0, of a point
	Text    string   `json:"text"`
	Tags    []string `json:"tags"`
}

func (s stored) end() int64 { return max(s.Time, s.TimeEnd) }

// annotate looks what is there, and sends what is missing or other than it should be.
func (g *grafana) annotate(ctx context.Context) error {
	there, err := g.find(ctx)
	if err != nil {
		return fmt.Errorf("looking which annotations are there: %w", err)
	}
	for _, a := range g.list {
		want := stored{Time: a.At.UnixMilli(), Text: a.Text, Tags: a.Tags}
		want.TimeEnd = want.Time
		if !a.End.IsZero() {
			want.TimeEnd = max(want.Time, a.End.UnixMilli())
		}
		have, is := there[a.Key]
		switch {
		case !is:
			g.added[a.Key] = true
			if err := g.write(ctx, http.MethodPost, annotationsPath, want); err != nil {
				return fmt.Errorf("adding an annotation: %w", err)
			}
		case have.Time != want.Time || have.end() != want.TimeEnd || have.Text != want.Text || !sameTags(have.Tags, want.Tags):
			if !g.added[a.Key] {
				g.changed[a.Key] = true
			}
			path := annotationsPath + "/" + strconv.FormatInt(have.ID, 10)
			if err := g.write(ctx, http.MethodPut, path, want); err != nil {
				return fmt.Errorf("changing an annotation: %w", err)
			}
		}
	}
	return nil
}

func sameTags(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// find returns the run's annotations that are there, by their keys.
//
// The API has no pages: it answers with the newest by their ends, as many as the limit says. So what is older is asked for
// by the time of the oldest end that came, until an answer is not full.
func (g *grafana) find(ctx context.Context) (map[string]stored, error) {
	out := map[string]stored{}
	seen := map[int64]bool{}
	to := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	for range mostPages {
		// Without a begin of its own, the end would be ignored.
		query := url.Values{"tags": {tagAll, g.list[0].Tags[1]}, "type": {"annotation"}, "limit": {strconv.Itoa(pageLimit)},
			"from": {"1"}, "to": {strconv.FormatInt(to, 10)}}
		r := request{method: http.MethodGet, url: g.URL + annotationsPath + "?" + query.Encode(), passing: busy,
			header: http.Header{"Accept": {"application/json"}}}
		answer, _, err := g.send(ctx, r)
		if err != nil {
			return nil, err
		}
		var page []stored
		err = decode(answer, &page)
		if err == nil && page == nil {
			err = errors.New("the answer is null, and no list")
		}
		if err != nil {
			return nil, g.redact(fmt.Errorf("GET %s: %w", r.where(), err))
		}
		fresh := false
		for _, s := range page {
			to = min(to, s.end())
			if seen[s.ID] {
				continue
			}
			fresh, seen[s.ID] = true, true
			if key := s.key(); key != "" {
				out[key] = s
			}
		}
		if len(page) < pageLimit {
			return out, nil
		}
		if !fresh {
			break
		}
	}
	return nil, fmt.Errorf("there are more than can be looked through with the tag %q", g.list[0].Tags[1])
}

// key returns what tells an annotation of ours from the others of its run; empty of one that somebody else made.
func (s stored) key() string {
	for _, t := range s.Tags {
		if key, ok := strings.CutPrefix(t, tagKey); ok {
			return key
		}
	}
	return ""
}

// write posts or changes one annotation. It is sent once: without an answer nobody knows whether it is there.
func (g *grafana) write(ctx context.Context, method, path string, s stored) error {
	body, err := json.Marshal(struct {
		Time    int64    `json:"time"`
		TimeEnd int64    `json:"timeEnd"`
		Tags    []string `json:"tags"`
		Text    string   `json:"text"`
	}{s.Time, s.TimeEnd, s.Tags, s.Text})
	if err != nil {
		return fmt.Errorf("writing it: %w", err)
	}
	r := request{method: method, url: g.URL + path, body: body, passing: busy, once: true,
		header: http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}}
	answer, _, err := g.send(ctx, r)
	if err != nil {
		return err
	}
	var said struct {
		Message string `json:"message"`
	}
	if err := decode(answer, &said); err != nil {
		return unanswered{g.redact(fmt.Errorf("%s %s: %w", method, r.where(), err))}
	}
	g.done++
	return nil
}

// decode reads an answer that must be one JSON document of the shape expected, and all of it.
func decode(answer []byte, into any) error {
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("the answer is not the JSON expected (%w): %s", err, excerpt(answer))
	}
	return nil
}

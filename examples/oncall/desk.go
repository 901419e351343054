package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
)

// The states of a page.
const (
	stateOpen     = "open"
	stateResolved = "resolved"
)

// page is one page as the desk lists it.
type page struct {
	ID     string  `json:"id"`
	State  string  `json:"state"` // open, acknowledged, resolved
	Level  int     `json:"level"` // the escalation level responsible now, from 1
	Events []event `json:"events"`
}

// event is one thing that happened to a page.
type event struct {
	Kind    string   `json:"kind"`
	Targets []string `json:"targets,omitempty"` // of kind notified: who was told
}

// notified reports whether the desk has told somebody of the page.
func (p page) notified(person string) bool {
	return slices.ContainsFunc(p.Events, func(e event) bool {
		return e.Kind == "notified" && slices.Contains(e.Targets, person)
	})
}

// answerLimit bounds what is read of one answer, in bytes.
const answerLimit = 16 << 20

// paging talks to a paging desk over HTTP.
type paging struct {
	base   string
	client *http.Client
}

// pages lists the desk's pages.
func (d *paging) pages(ctx context.Context) ([]page, error) {
	var out []page
	if err := d.do(ctx, http.MethodGet, "/pages", nil, &out); err != nil {
		return nil, fmt.Errorf("listing pages: %w", err)
	}
	return out, nil
}

// act does one thing about a page: acknowledge, note, bridge or resolve. text may be empty but for a note.
func (d *paging) act(ctx context.Context, id, verb, by, text string) error {
	body, err := json.Marshal(map[string]string{"by": by, "text": text})
	if err != nil {
		return err
	}
	if err := d.do(ctx, http.MethodPost, "/pages/"+url.PathEscape(id)+"/"+verb, body, nil); err != nil {
		return fmt.Errorf("page %s: %s: %w", id, verb, err)
	}
	return nil
}

// do sends one request and decodes a good answer into v, unless v is nil.
func (d *paging) do(ctx context.Context, method, path string, body []byte, v any) error {
	req, err := http.NewRequestWithContext(ctx, method, d.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := d.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return &refusal{code: res.StatusCode, answer: string(bytes.TrimSpace(answer[:min(len(answer), 200)]))}
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(answer, v)
}

// refusal is an answer that is not a success.
type refusal struct {
	code   int
	answer string
}

// Error returns the status and the beginning of the answer.
func (r *refusal) Error() string { return fmt.Sprintf("status %d: %s", r.code, r.answer) }

// final reports whether asking again is of no use.
func (r *refusal) final() bool { return r.code/100 == 4 }

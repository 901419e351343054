package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Stream posts a value as JSON and returns the answer as it comes, for as long as the server sends it or ctx lasts. The answer
// must begin within Options.Timeout. Close ends it. It is asked once: who follows a stream must know of every break.
func (c *Client) Stream(ctx context.Context, path string, body any) (io.ReadCloser, error) {
	question, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("writing the question: %w", err)
	}
	at := *c.base
	at.Path += path
	whole, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(c.options.Timeout, func() { cancel(context.DeadlineExceeded) })
	failed := func(err error) error {
		cancel(nil)
		return fmt.Errorf("POST %s: %w", at.String(), c.options.redact(c.plain(err)))
	}
	request, err := http.NewRequestWithContext(whole, http.MethodPost, at.String(), bytes.NewReader(question))
	if err != nil {
		return nil, failed(err)
	}
	c.head(request, question)
	response, err := c.http.Do(request)
	inTime := late.Stop()
	if err != nil {
		if cause := context.Cause(whole); cause != nil {
			err = cause
		}
		return nil, failed(err)
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		text, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		if err != nil && len(text) == 0 {
			return nil, failed(err)
		}
		return nil, failed(&StatusError{Code: response.StatusCode, After: after(response.Header, time.Now()), text: c.refusal(response, text)})
	}
	if !inTime {
		response.Body.Close()
		return nil, failed(context.DeadlineExceeded)
	}
	return &stream{response.Body, cancel}, nil
}

// stream is the body of an answer that ends with its request.
type stream struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (s *stream) Close() error {
	s.cancel(nil)
	return s.ReadCloser.Close()
}

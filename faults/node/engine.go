package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	engineLimit  = 20 * time.Second // one request; the engine itself waits up to 10 s for a killed container
	maxAnswer    = 4 << 20          // bytes of one answer
	maxComplaint = 300              // bytes of an error's text that are shown
)

// errNoContainer says that the engine has no container of that id any more.
var errNoContainer = errors.New("the container is gone: it was removed, or made anew under another id")

// container is what an engine says of one container.
type container struct {
	Name  string
	State struct {
		Status                            string // "running", "exited", "paused", "restarting", "removing", "dead", "created"
		Running, Paused, Restarting, Dead bool
		Pid                               int
		StartedAt                         string // of the present run, or of the last one; unique to it
	}
	HostConfig struct {
		AutoRemove bool
	}
}

// engine asks one Docker Engine over its socket. It speaks the engine's own version of the API: the three requests have been
// the same in all of them. The guard has no use for the engine's whole client library.
type engine struct {
	socket string
	client *http.Client
}

// dialEngine returns a client of the engine at a socket and asks nothing yet.
func dialEngine(socket string) *engine {
	return &engine{socket: socket, client: &http.Client{Timeout: engineLimit, Transport: &http.Transport{
		DisableKeepAlives: true, // nothing is left open between requests that are seconds apart
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}}
}

// inspect returns a container's present state, or errNoContainer.
func (e *engine) inspect(ctx context.Context, id string) (container, error) {
	var c container
	answer, err := e.ask(ctx, http.MethodGet, "/containers/"+url.PathEscape(id)+"/json")
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(answer, &c); err != nil {
		return c, fmt.Errorf("reading what the engine at %s says of container %s: %w", e.socket, brief(id), err)
	}
	if c.State.StartedAt == "" {
		return c, fmt.Errorf("reading what the engine at %s says of container %s: it does not say when it was started", e.socket, brief(id))
	}
	return c, nil
}

// kill ends all processes of a container at once. To the engine that is a stop by hand, so that no restart policy starts the
// container again.
func (e *engine) kill(ctx context.Context, id string) error {
	_, err := e.ask(ctx, http.MethodPost, "/containers/"+url.PathEscape(id)+"/kill?signal=SIGKILL")
	return err
}

// start starts a container, and does nothing to one that runs.
func (e *engine) start(ctx context.Context, id string) error {
	_, err := e.ask(ctx, http.MethodPost, "/containers/"+url.PathEscape(id)+"/start")
	return err
}

// ask sends one request and returns the answer's body.
func (e *engine) ask(ctx context.Context, method, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := e.client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("asking the Docker Engine at %s: %w; is it running?", e.socket, bare(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking the Docker Engine at %s: %w", e.socket, err)
	case response.StatusCode == http.StatusNotFound:
		return nil, errNoContainer
	case response.StatusCode >= 400:
		return nil, fmt.Errorf("the Docker Engine at %s refuses (%s): %s", e.socket, response.Status, complaint(body))
	}
	return body, nil
}

// bare takes the address off an error of the HTTP client, which is not that of the engine.
func bare(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}

// complaint returns what the engine says of an error: its JSON message, or the beginning of its text.
func complaint(body []byte) string {
	var said struct{ Message string }
	text := strings.TrimSpace(string(body))
	if json.Unmarshal(body, &said) == nil && said.Message != "" {
		text = said.Message
	}
	return strings.ToValidUTF8(text[:min(len(text), maxComplaint)], "")
}

// brief cuts a container's id as Docker's own tools do.
func brief(id string) string { return id[:min(len(id), 12)] }

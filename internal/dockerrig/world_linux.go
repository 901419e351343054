package dockerrig

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
)

// maxAnswer bounds an answer of the engine, in bytes.
const maxAnswer = 4 << 20

// Call sends one request to the engine and decodes its answer into out, unless that is nil or takes it as it is, as bytes. body is sent as JSON, or as it is
// when it is an io.Reader (a tar archive). The engine speaks its own version of the API. An answer that is no success is an error with the engine's words.
func (e *Engine) Call(ctx context.Context, method, path string, body, out any) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", e.Socket)
		}}}
	kind, content := "application/json", io.Reader(nil)
	switch b := body.(type) {
	case nil:
	case io.Reader:
		kind, content = "application/x-tar", b
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, content)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", kind)
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("asking the engine: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("asking the engine: %w", err)
	}
	if response.StatusCode >= 300 && response.StatusCode != http.StatusNotModified {
		return fmt.Errorf("the engine answers %s to %s %s: %s", response.Status, method, path, strings.TrimSpace(string(answer)))
	}
	switch o := out.(type) {
	case nil:
		return nil
	case *[]byte:
		*o = answer
		return nil
	}
	return json.Unmarshal(answer, out)
}

// Remove removes a container, running or not, as `docker rm -f` does.
func (e *Engine) Remove(ctx context.Context, container string) error {
	return e.Call(ctx, "DELETE", "/containers/"+url.PathEscape(container)+"?force=1", nil, nil)
}

// Import makes an image from scratch that holds programs, each at /NAME. The programs must be linked statically.
func (e *Engine) Import(ctx context.Context, image string, programs ...string) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, program := range programs {
		data, err := os.ReadFile(program)
		if err == nil {
			err = static(data)
		}
		if err != nil {
			return fmt.Errorf("making image %s: %s: %w", image, program, err)
		}
		if err := w.WriteHeader(&tar.Header{Name: path.Base(program), Mode: 0o755, Size: int64(len(data))}); err != nil {
			return fmt.Errorf("making image %s: %w", image, err)
		}
		if _, err := w.Write(data); err != nil {
			return fmt.Errorf("making image %s: %w", image, err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("making image %s: %w", image, err)
	}
	query := url.Values{"fromSrc": {"-"}, "repo": {image}, "tag": {"latest"}}
	return e.Call(ctx, "POST", "/images/create?"+query.Encode(), &archive, nil)
}

// static returns an error for a program that needs a loader, which an image from scratch does not have.
func static(program []byte) error {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return err
	}
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return errors.New("it is linked dynamically; build it with CGO_ENABLED=0")
	}
	return nil
}

// Network makes a bridge network with a subnet, whose first address the bridge itself gets.
func (e *Engine) Network(ctx context.Context, name, subnet string) error {
	return e.Call(ctx, "POST", "/networks/create", map[string]any{"Name": name, "Driver": "bridge",
		"IPAM": map[string]any{"Config": []map[string]string{{"Subnet": subnet}}}}, nil)
}

// Container says what to run.
type Container struct {
	Name    string
	Image   string
	Command []string
	Env     []string
	Labels  map[string]string
	Restart string   // a restart policy: "", "always", "unless-stopped"
	Network string   // name of a network; empty for none but loopback
	Address string   // on that network, the same after every start; empty for any
	Hosts   []string // lines for /etc/hosts: "payments:198.18.7.3"
	Remove  bool     // when it stops
	Stdin   bool     // keep its standard input open, with nothing to read
}

// Run creates a container, starts it, and returns its id.
func (e *Engine) Run(ctx context.Context, c Container) (string, error) {
	host := map[string]any{"RestartPolicy": map[string]any{"Name": c.Restart}, "ExtraHosts": c.Hosts, "AutoRemove": c.Remove,
		"NetworkMode": "none"}
	spec := map[string]any{"Image": c.Image, "Entrypoint": c.Command, "Env": c.Env, "Labels": c.Labels, "OpenStdin": c.Stdin, "HostConfig": host}
	if c.Network != "" {
		host["NetworkMode"] = c.Network
		end := map[string]any{}
		if c.Address != "" {
			end["IPAMConfig"] = map[string]string{"IPv4Address": c.Address}
		}
		spec["NetworkingConfig"] = map[string]any{"EndpointsConfig": map[string]any{c.Network: end}}
	}
	var made struct{ ID string }
	if err := e.Call(ctx, "POST", "/containers/create?name="+url.QueryEscape(c.Name), spec, &made); err != nil {
		return "", fmt.Errorf("making container %s: %w", c.Name, err)
	}
	if err := e.Call(ctx, "POST", "/containers/"+made.ID+"/start", nil, nil); err != nil {
		return "", fmt.Errorf("starting container %s: %w", c.Name, err)
	}
	return made.ID, nil
}

// State is what the engine says of a container.
type State struct {
	Running, Paused, Restarting bool
	Status                      string
	Pid                         int
	StartedAt                   string
}

// State returns the present state of a container, by id or name.
func (e *Engine) State(ctx context.Context, container string) (State, error) {
	var out struct{ State State }
	err := e.Call(ctx, "GET", "/containers/"+url.PathEscape(container)+"/json", nil, &out)
	return out.State, err
}

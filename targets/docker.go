package targets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"gameday/faults"
	"gameday/faults/find"
)

const (
	// askEngine bounds all that an engine is asked to resolve one target.
	askEngine = 4 * time.Second
	// beginsWithin is within what time a container's program runs, after its engine has said so. It is one time for all containers of
	// a target.
	beginsWithin = time.Second
	// knowsWithin is within what time an engine knows that a container has ended, and askAgain the time between two questions.
	knowsWithin, askAgain = 500 * time.Millisecond, 20 * time.Millisecond
	// namesShown is how many containers a hint names.
	namesShown = 6
)

// engineSocket returns the path of the socket of the engine that a selector means.
func engineSocket(c *Container) (string, error) {
	if c.Engine != "" {
		return socketOf(c.Engine)
	}
	host := cmp.Or(os.Getenv("DOCKER_HOST"), DefaultEngine)
	socket, err := socketOf(host)
	if err != nil {
		return "", fmt.Errorf("DOCKER_HOST: %w", err)
	}
	return socket, nil
}

// dialEngine returns a client of the engine, after one connection that tells what is in the way.
func dialEngine(ctx context.Context, socket string) (*client.Client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no Docker Engine at %s: start it (systemctl start docker), or name its socket with engine = \"unix://…\" or "+
			"DOCKER_HOST", socket)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("not allowed to use the Docker Engine at %s: run gameday as root; whoever may use that socket is root on this "+
			"machine anyway", socket)
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("nobody serves %s: the Docker Engine has ended and left its socket; start it again (systemctl start docker)", socket)
	case err != nil:
		return nil, fmt.Errorf("reaching the Docker Engine at %s: %w", socket, err)
	}
	conn.Close()
	engine, err := client.New(client.WithHost("unix://" + socket))
	if err != nil {
		return nil, fmt.Errorf("reaching the Docker Engine at %s: %w", socket, err)
	}
	if _, err := engine.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		engine.Close()
		return nil, asking{socket: socket}.wrap("agreeing on a version of the API", err)
	}
	return engine, nil
}

// containers finds running containers by asking their engine.
func (m *Machine) containers(ctx context.Context, s *Container) (find.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, askEngine)
	defer cancel()
	socket, err := engineSocket(s)
	if err != nil {
		return find.Result{}, err
	}
	engine, err := dialEngine(ctx, socket)
	if err != nil {
		return find.Result{}, err
	}
	defer engine.Close()
	e := asking{engine: engine, socket: socket}
	all, err := e.list(ctx, s.filters())
	if err != nil {
		return find.Result{}, err
	}
	begin, cancel := context.WithTimeout(ctx, beginsWithin)
	defer cancel()
	var out find.Result
	var idle []string // selected, and not running
	for _, c := range all {
		if !s.selects(c) {
			continue
		}
		if c.State != container.StateRunning {
			idle = append(idle, fmt.Sprintf("%s is %s", nameOf(c), c.State))
			continue
		}
		found, err := e.place(ctx, begin, c)
		switch {
		case errors.Is(err, errVanished):
			continue
		case err != nil:
			return find.Result{}, err
		case m.Own != nil && m.Own(found.Place.Process.PID):
			continue
		}
		out.Found = append(out.Found, found)
	}
	if len(out.Found) == 0 {
		if all, err = e.list(ctx, nil); err != nil {
			return find.Result{}, err
		}
		out.Hint = hint(s, all, idle)
	}
	return out, nil
}

// filters are what the engine can be told of the selector, so that it does not tell of a thousand other containers.
func (c *Container) filters() client.Filters {
	out := client.Filters{}
	for k, v := range c.labels() {
		out.Add("label", k+"="+v)
	}
	if c.Name != "" {
		out.Add("name", "^/?"+regexp.QuoteMeta(c.Name)+"$")
	}
	return out
}

// selects reports whether a container, running or not, is what the selector looks for.
func (c *Container) selects(s container.Summary) bool {
	if c.Name != "" && !slices.Contains(s.Names, "/"+c.Name) {
		return false
	}
	for k, v := range c.labels() {
		if has, ok := s.Labels[k]; !ok || has != v {
			return false
		}
	}
	return true
}

// nameOf returns a container's own name; others are those that links gave it, with a slash inside.
func nameOf(s container.Summary) string {
	for _, n := range s.Names {
		if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
			return n
		}
	}
	return s.ID[:min(len(s.ID), 12)]
}

// errVanished says that a container ended between two questions.
var errVanished = errors.New("the container has ended")

// asking is a conversation with one engine.
type asking struct {
	engine *client.Client
	socket string
}

// list returns the containers that pass the filters, running or not.
func (e asking) list(ctx context.Context, filters client.Filters) ([]container.Summary, error) {
	r, err := e.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return nil, e.wrap("listing containers", err)
	}
	return r.Items, nil
}

// inspect returns one container, or errVanished.
func (e asking) inspect(ctx context.Context, id string) (container.InspectResponse, error) {
	r, err := e.engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if cerrdefs.IsNotFound(err) {
		return r.Container, errVanished
	}
	if err != nil {
		return r.Container, e.wrap("looking at container "+id[:min(len(id), 12)], err)
	}
	if s := r.Container.State; s == nil || !s.Running || s.Paused || s.Restarting || s.Pid <= 0 {
		return r.Container, errVanished
	}
	return r.Container, nil
}

func (e asking) wrap(doing string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: the Docker Engine at %s accepts connections and does not answer: is it hung?", doing, e.socket)
	}
	return fmt.Errorf("%s: the Docker Engine at %s: %w", doing, e.socket, err)
}

// place describes a running container as a place: its first process as this machine's /proc has it, with the process's
// network, and the container as a node that its engine can restart. When begin ends, nothing waits for its program any more.
func (e asking) place(ctx, begin context.Context, c container.Summary) (find.Found, error) {
	seen, err := e.inspect(ctx, c.ID)
	if err != nil {
		return find.Found{}, err
	}
	out, err := find.Container(begin, seen.State.Pid, seen.ID)
	if err != nil {
		if !errors.Is(err, fs.ErrPermission) {
			if lost := e.ended(ctx, c.ID, seen.State.Pid); lost != nil {
				return find.Found{}, lost
			}
		}
		return find.Found{}, explain(nameOf(c), err)
	}
	out.Text = fmt.Sprintf("container %s, %s", nameOf(c), out.Text)
	if seen.HostConfig != nil && seen.HostConfig.NetworkMode.IsHost() {
		out.Text += ", in the machine's own network"
	}
	out.Place.Node = &faults.Node{Name: nameOf(c), Engine: e.socket, Container: seen.ID}
	return out, nil
}

// ended returns errVanished when a container, whose first process is not to be found, has ended just now: its engine knows by the time it is asked
// again, or soon after.
func (e asking) ended(ctx context.Context, id string, pid int) error {
	soon, cancel := context.WithTimeout(ctx, knowsWithin)
	defer cancel()
	for {
		again, err := e.inspect(ctx, id)
		if err != nil {
			return err
		}
		if again.State.Pid != pid {
			return errVanished
		}
		select {
		case <-soon.Done():
			return nil
		case <-time.After(askAgain):
		}
	}
}

// explain says why the first process of a container that runs cannot be found here, and what to do.
func explain(name string, err error) error {
	switch {
	case errors.Is(err, find.ErrElsewhere):
		return fmt.Errorf("container %s: %w: its engine runs on another machine, in a virtual machine, or in another process namespace; run "+
			"gameday where the containers' processes are", name, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("container %s: %w; to enter a container takes root, whoever may use the engine's socket: run gameday as root", name, err)
	}
	return fmt.Errorf("container %s: %w", name, err)
}

// hint says what there is instead of a container that was not found.
func hint(s *Container, all []container.Summary, idle []string) string {
	if len(idle) > 0 {
		slices.Sort(idle)
		return shorten(idle) + "; only running containers are selected"
	}
	names := map[string]bool{}
	word := s.Name
	what := "running are "
	for _, c := range all {
		if c.State != container.StateRunning {
			continue
		}
		name := nameOf(c)
		if s.Name == "" && s.Compose != nil {
			word, what = s.Compose.Project+"/"+s.Compose.Service, "running services are "
			if name = c.Labels[composeProject] + "/" + c.Labels[composeService]; name == "/" {
				continue
			}
		}
		names[name] = true
	}
	var sorted []string
	for n := range names {
		sorted = append(sorted, n)
	}
	slices.Sort(sorted)
	switch {
	case len(sorted) == 0 && what == "running are ":
		return "no container runs on that engine"
	case len(sorted) == 0:
		return "no container of Compose runs on that engine"
	}
	out := what + shorten(sorted)
	if near := faults.Nearest(word, sorted); near != "" && near != word {
		out += fmt.Sprintf("; did you mean %q?", near)
	}
	return out
}

// shorten joins the first few texts.
func shorten(texts []string) string {
	if len(texts) <= namesShown {
		return strings.Join(texts, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(texts[:namesShown], ", "), len(texts)-namesShown)
}

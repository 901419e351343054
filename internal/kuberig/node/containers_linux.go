package node

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gameday/internal/kuberig"
)

// startSandbox makes and starts the container that holds a pod's network, and returns its id and its address.
func (n *Node) startSandbox(ctx context.Context, p *pod) (id, address string, err error) {
	hosts := n.hosts(p.Metadata.Namespace)
	for _, a := range p.Spec.HostAliases {
		for _, name := range a.Hostnames {
			hosts = append(hosts, name+":"+a.IP)
		}
	}
	id, err = n.create(ctx, "sandbox-"+p.key(), object{"Image": sandboxed, "Entrypoint": []string{"/sandbox"}, "Hostname": p.Metadata.Name,
		"Labels": labels(p, "POD", "podsandbox"), "HostConfig": object{"NetworkMode": podNet, "ExtraHosts": hosts}})
	if err != nil {
		return "", "", err
	}
	var made struct {
		NetworkSettings struct {
			Networks map[string]struct{ IPAddress string }
		}
	}
	if err := n.Engine.Call(ctx, "GET", "/containers/"+id+"/json", nil, &made); err != nil {
		return "", "", err
	}
	return id, made.NetworkSettings.Networks[podNet].IPAddress, nil
}

// startContainer makes and starts a container of a pod.
func (n *Node) startContainer(ctx context.Context, p *pod, c container, restarts int, sandbox, address string) (string, error) {
	env, err := n.environment(p, c, address)
	if err != nil {
		return "", err
	}
	binds, err := n.binds(p, c)
	if err != nil {
		return "", err
	}
	host := object{"NetworkMode": "container:" + sandbox, "Binds": binds, "ReadonlyRootfs": c.SecurityContext.ReadOnlyRootFilesystem}
	spec := object{"Image": c.Image, "WorkingDir": c.WorkingDir, "OpenStdin": c.Stdin, "Labels": labels(p, c.Name, "container"), "HostConfig": host}
	var list []string
	for _, v := range env {
		list = append(list, v.Name+"="+v.Value)
	}
	spec["Env"] = list
	if len(c.Command) > 0 {
		spec["Entrypoint"] = expand(c.Command, env)
	}
	if len(c.Args) > 0 {
		spec["Cmd"] = expand(c.Args, env)
	}
	user := c.SecurityContext.RunAsUser
	if user == nil {
		user = p.Spec.SecurityContext.RunAsUser
	}
	if user != nil {
		spec["User"] = strconv.FormatInt(*user, 10)
	}
	return n.create(ctx, fmt.Sprintf("%s-%s-%d", c.Name, p.key(), restarts), spec)
}

// create makes a container and starts it. One of the same name that was left over is removed.
func (n *Node) create(ctx context.Context, name string, spec object) (string, error) {
	var made struct{ ID string }
	_ = n.Engine.Remove(ctx, name) // of an attempt before this one
	if err := n.Engine.Call(ctx, "POST", "/containers/create?name="+url.QueryEscape(name), spec, &made); err != nil {
		return "", fmt.Errorf("making a container: %w", err)
	}
	if err := n.Engine.Call(ctx, "POST", "/containers/"+made.ID+"/start", nil, nil); err != nil {
		return "", fmt.Errorf("starting a container: %w", err)
	}
	return made.ID, nil
}

// labels are those that a kubelet gave to Docker's containers, by which they are told from sandboxes.
func labels(p *pod, container, kind string) map[string]string {
	return map[string]string{"io.kubernetes.docker.type": kind, "io.kubernetes.pod.name": p.Metadata.Name, "io.kubernetes.pod.namespace": p.Metadata.Namespace,
		"io.kubernetes.pod.uid": p.Metadata.UID, "io.kubernetes.container.name": container}
}

// look returns the state of a container.
func (n *Node) look(ctx context.Context, id string) (state, error) {
	var got struct{ State state }
	err := n.Engine.Call(ctx, "GET", "/containers/"+id+"/json", nil, &got)
	return got.State, err
}

// stop ends a container after its grace in seconds, and removes it. One that is gone is stopped. It takes up to stopLimit longer than the
// grace, and ends with the node.
func (n *Node) stop(id string, grace int) {
	ctx, cancel := context.WithTimeout(n.ctx, time.Duration(grace)*time.Second+stopLimit)
	defer cancel()
	if grace > 0 {
		_ = n.Engine.Call(ctx, "POST", fmt.Sprintf("/containers/%s/stop?t=%d", id, grace), nil, nil)
	}
	_ = n.Engine.Remove(ctx, id)
}

// probe asks whether a container is ready. Without a probe it is when it runs.
func (n *Node) probe(p *probe, address string) bool {
	if p == nil || p.HTTPGet == nil && p.TCPSocket == nil {
		return true
	}
	var port any
	if p.HTTPGet != nil {
		port = p.HTTPGet.Port
	} else {
		port = p.TCPSocket.Port
	}
	number, ok := port.(float64)
	if !ok {
		return false
	}
	conn, err := n.c.Dial(net.JoinHostPort(address, strconv.Itoa(int(number))))
	if err != nil {
		return false
	}
	defer conn.Close()
	if p.HTTPGet == nil {
		return true
	}
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", p.HTTPGet.Path, address); err != nil {
		return false
	}
	var version string
	var code int
	_, err = fmt.Fscanf(conn, "%s %d", &version, &code)
	return err == nil && code >= 200 && code < 400
}

// environment returns a container's variables.
func (n *Node) environment(p *pod, c container, address string) ([]variable, error) {
	host, port, _ := net.SplitHostPort(n.c.InsideAPI())
	env := []variable{{Name: "KUBERNETES_SERVICE_HOST", Value: host}, {Name: "KUBERNETES_SERVICE_PORT", Value: port}}
	for _, s := range c.EnvFrom {
		var data map[string]string
		var err error
		switch {
		case s.ConfigMapRef != nil:
			data, err = n.data(p, "configmaps", s.ConfigMapRef.Name)
		case s.SecretRef != nil:
			data, err = n.data(p, "secrets", s.SecretRef.Name)
		}
		if err != nil {
			return nil, err
		}
		for k, v := range data {
			env = append(env, variable{Name: k, Value: v})
		}
	}
	for _, v := range c.Env {
		value, err := n.value(p, v, address, env)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", v.Name, err)
		}
		env = append(env, variable{Name: v.Name, Value: value})
	}
	return env, nil
}

// value returns what a variable is.
func (n *Node) value(p *pod, v variable, address string, before []variable) (string, error) {
	from := v.ValueFrom
	switch {
	case from == nil:
		return expand([]string{v.Value}, before)[0], nil
	case from.FieldRef != nil:
		return p.field(from.FieldRef.FieldPath, address, kuberig.Address), nil
	case from.ConfigMapKeyRef != nil:
		return n.keyOf(p, "configmaps", from.ConfigMapKeyRef)
	case from.SecretKeyRef != nil:
		return n.keyOf(p, "secrets", from.SecretKeyRef)
	}
	return "", fmt.Errorf("this rig does not know where it comes from")
}

func (n *Node) keyOf(p *pod, plural string, ref *keyRef) (string, error) {
	data, err := n.data(p, plural, ref.Name)
	value, there := data[ref.Key]
	if ref.Optional || err == nil && there {
		return value, nil
	}
	return "", fmt.Errorf("no %s in %s/%s: %w", ref.Key, plural, ref.Name, err)
}

// expand puts variables in place of $(NAME).
func expand(texts []string, env []variable) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		for _, v := range env {
			text = strings.ReplaceAll(text, "$("+v.Name+")", v.Value)
		}
		out[i] = text
	}
	return out
}

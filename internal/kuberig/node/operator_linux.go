package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Where the k6 operator stands, as its bundle has it, and the images that its pods are made of unless a TestRun names others.
const (
	OperatorNamespace = "k6-operator-system"
	operatorName      = "k6-operator-controller-manager"
	managerImage      = "rig/k6-operator"
	InitializerImage  = "ghcr.io/grafana/k6-operator:latest-runner"
	StarterImage      = "ghcr.io/grafana/k6-operator:latest-starter"
)

// operatorLimit bounds how long the operator may take to run: it waits for a lease that one before it may have.
const operatorLimit = 60 * time.Second

// InstallK6Operator installs the real k6 operator, by the objects that its releases are installed by, and returns when it runs. Only the
// sidecar for its metrics is left out, which is no Go module. initializer is a folder with the programs of its initializer's image beside a
// shell: /usr/local/bin/k6. Its starter's image has curl.
func (n *Node) InstallK6Operator(ctx context.Context, initializer string) error {
	parts, err := n.c.K6Operator()
	if err != nil {
		return err
	}
	manager, err := os.MkdirTemp(n.dir, "manager-")
	if err != nil {
		return err
	}
	if err := os.Link(parts.Manager, filepath.Join(manager, "manager")); err != nil { // across file systems it cannot be linked
		data, err := os.ReadFile(parts.Manager)
		if err := errors.Join(err, os.WriteFile(filepath.Join(manager, "manager"), data, 0o755)); err != nil {
			return err
		}
	}
	shell := map[string]string{"/bin/sh": "/usr/bin/dash"}
	path := "ENV PATH=/usr/local/bin:/usr/bin:/bin"
	err = errors.Join(
		n.Engine.ImportRoot(ctx, managerImage, manager, "USER 65532:65532"),
		n.ImportPrograms(ctx, InitializerImage, initializer, []string{"dash", "mkdir", "dirname", "cat", "grep"}, shell, "USER 12345:12345", path),
		n.ImportPrograms(ctx, StarterImage, "", []string{"dash", "curl"}, shell, "USER 65532:65532", path))
	if err != nil {
		return fmt.Errorf("installing the k6 operator: %w", err)
	}
	objects, err := bundle(parts.Bundle)
	if err != nil {
		return fmt.Errorf("installing the k6 operator: %w", err)
	}
	if out, err := n.c.Kubectl(ctx, objects, "apply", "--server-side", "-f", "-"); err != nil {
		return fmt.Errorf("installing the k6 operator: %w: %s", err, out)
	}
	return n.scaled(ctx, 1)
}

// bundle returns the objects of a bundle, of which the Deployment has one container with the manager's image.
func bundle(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	for doc := range strings.SplitSeq(string(text), "\n---\n") {
		var o struct {
			Kind string
			Spec object
		}
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			return "", err
		}
		if o.Kind == "Deployment" {
			var whole object
			if err := yaml.Unmarshal([]byte(doc), &whole); err != nil {
				return "", err
			}
			spec := whole["spec"].(object)["template"].(object)["spec"].(object)
			first := spec["containers"].([]any)[0].(object)
			first["image"] = managerImage
			spec["containers"] = []any{first}
			made, err := yaml.Marshal(whole)
			if err != nil {
				return "", err
			}
			doc = string(made)
		}
		fmt.Fprintf(&out, "---\n%s\n", doc)
	}
	return out.String(), nil
}

// StopK6Operator ends the k6 operator, so that nothing acts on TestRuns. StartK6Operator starts it again.
func (n *Node) StopK6Operator(ctx context.Context) error { return n.scaled(ctx, 0) }

// StartK6Operator starts the k6 operator again, and returns when it works.
func (n *Node) StartK6Operator(ctx context.Context) error { return n.scaled(ctx, 1) }

// scaled sets the number of the operator's pods, and waits until there are as many, and one of them works.
func (n *Node) scaled(ctx context.Context, replicas int) error {
	ctx, cancel := context.WithTimeout(ctx, operatorLimit)
	defer cancel()
	if err := n.c.Patch("/apis/apps/v1/namespaces/"+OperatorNamespace+"/deployments/"+operatorName, object{"spec": object{"replicas": replicas}}, nil); err != nil {
		return err
	}
	tick := time.NewTicker(step)
	defer tick.Stop()
	for {
		var list struct{ Items []*pod }
		if err := n.c.Get("/api/v1/namespaces/"+OperatorNamespace+"/pods", &list); err == nil && len(list.Items) == replicas &&
			(replicas == 0 || strings.Contains(n.K6OperatorLog(ctx), "Starting workers")) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the k6 operator: %w: %s", ctx.Err(), n.K6OperatorLog(context.WithoutCancel(ctx)))
		}
	}
}

// K6OperatorLog returns what the k6 operator that runs has said.
func (n *Node) K6OperatorLog(ctx context.Context) string {
	var list struct{ Items []*pod }
	if err := n.c.Get("/api/v1/namespaces/"+OperatorNamespace+"/pods", &list); err != nil || len(list.Items) == 0 {
		return "it has no pod"
	}
	id := n.Container(OperatorNamespace, list.Items[0].Metadata.Name, "manager")
	if id == "" {
		return "its pod has no container"
	}
	text, err := n.Engine.LogOf(ctx, id)
	if err != nil {
		return err.Error()
	}
	return text
}

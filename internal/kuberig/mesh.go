package kuberig

import (
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const webhookPort = "9443"

// hooked are the kinds that Chaos Mesh's webhooks look at: how a webhook's path ends, and the resource.
var hooked = map[string]string{
	"podchaos": "podchaos", "iochaos": "iochaos", "timechaos": "timechaos", "networkchaos": "networkchaos", "kernelchaos": "kernelchaos",
	"stresschaos": "stresschaos", "awschaos": "awschaos", "azurechaos": "azurechaos", "gcpchaos": "gcpchaos", "dnschaos": "dnschaos",
	"jvmchaos": "jvmchaos", "httpchaos": "httpchaos", "blockchaos": "blockchaos", "physicalmachinechaos": "physicalmachinechaos",
	"schedule": "schedules", "workflow": "workflows", "physicalmachine": "physicalmachines", "statuscheck": "statuschecks",
	"remotecluster": "remoteclusters",
}

// object is a Kubernetes object or a part of one.
type object = map[string]any

// installMesh makes Chaos Mesh's definitions, what its installation leaves in a cluster, and its webhooks, and starts its
// controllers. They may do everything.
func (c *Cluster) installMesh(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(c.versions.definitions(), "*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("installing Chaos Mesh: no definitions in %s: %w", c.versions.definitions(), err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := c.PostYAML("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", text, nil); err != nil {
			return fmt.Errorf("installing Chaos Mesh: %s: %w", filepath.Base(path), err)
		}
	}
	if err := c.Namespace(MeshNamespace); err != nil {
		return err
	}
	if err := c.meshObjects(); err != nil {
		return fmt.Errorf("installing Chaos Mesh: %w", err)
	}
	if err := c.awaitDefinitions(ctx); err != nil {
		return err
	}
	serving, err := c.servers.issue(pkix.Name{CommonName: "chaos-mesh-controller-manager"}, "127.0.0.1")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.path("webhook"), 0o700); err != nil {
		return err
	}
	if err := serving.write(c.path("webhook/tls.crt"), c.path("webhook/tls.key")); err != nil {
		return err
	}
	c.mesh = c.meshControllers()
	if err := c.mesh.up(ctx); err != nil {
		return err
	}
	return c.InstallWebhooks()
}

// meshControllers returns a chaos-controller-manager that is not started.
func (c *Cluster) meshControllers() *process {
	return &process{name: "chaos-controller-manager", dir: c.Dir, start: c.ns.start,
		make: func() *exec.Cmd {
			cmd := exec.Command(c.versions.program("chaos-controller-manager"))
			cmd.Env = append(os.Environ(), "KUBECONFIG="+c.inside, "NAMESPACE="+MeshNamespace, "CERTS_DIR="+c.path("webhook"),
				"WEBHOOK_HOST=127.0.0.1", "WEBHOOK_PORT="+webhookPort, "METRICS_HOST=127.0.0.1", "METRICS_PORT=10080",
				"SECURITY_MODE=false", "CHAOSD_SECURITY_MODE=false", "ENABLE_LEADER_ELECTION=false")
			cmd.Env = append(cmd.Env, c.options.MeshEnv...)
			return cmd
		},
		ready: func() bool {
			conn, err := c.ns.dial(net.JoinHostPort("127.0.0.1", webhookPort))
			if err != nil {
				return false
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(time.Second))
			// Whose certificate it is matters to the API server alone.
			return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).Handshake() == nil
		}}
}

// awaitDefinitions returns when every definition is served.
func (c *Cluster) awaitDefinitions(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return poll(ctx, func() (bool, error) {
		var list struct {
			Items []struct {
				Status struct {
					Conditions []struct{ Type, Status string }
				}
			}
		}
		if err := c.Get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &list); err != nil {
			return false, err
		}
		for _, d := range list.Items {
			served := false
			for _, condition := range d.Status.Conditions {
				served = served || condition.Type == "Established" && condition.Status == "True"
			}
			if !served {
				return false, nil
			}
		}
		return len(list.Items) > 0, nil
	})
}

// InstallWebhooks makes the API server ask Chaos Mesh's webhooks, as its chart does: objects are refused when they do not
// answer. It returns when the API server does so, which is a while after it was told.
func (c *Cluster) InstallWebhooks() error {
	hook := func(name, path string, resources, operations []string) object {
		return object{"name": name, "failurePolicy": "Fail", "sideEffects": "None", "timeoutSeconds": 5,
			"admissionReviewVersions": []string{"v1", "v1beta1"},
			"clientConfig":            object{"caBundle": c.servers.pem, "url": "https://" + net.JoinHostPort("127.0.0.1", webhookPort) + path},
			"rules": []object{{"apiGroups": []string{"chaos-mesh.org"}, "apiVersions": []string{"v1alpha1"},
				"operations": operations, "resources": resources}}}
	}
	both := []string{"CREATE", "UPDATE"}
	var mutating, validating []object
	for kind, resource := range hooked {
		mutating = append(mutating, hook("m"+kind+".kb.io", "/mutate-chaos-mesh-org-v1alpha1-"+kind, []string{resource}, both))
		validating = append(validating, hook("v"+kind+".kb.io", "/validate-chaos-mesh-org-v1alpha1-"+kind, []string{resource}, both))
	}
	auth := []object{hook("vauth.kb.io", "/validate-auth", []string{"*"}, both)}
	for _, w := range []struct {
		kind, plural, name string
		hooks              []object
	}{
		{"MutatingWebhookConfiguration", "mutatingwebhookconfigurations", "chaos-mesh-mutation", mutating},
		{"ValidatingWebhookConfiguration", "validatingwebhookconfigurations", "chaos-mesh-validation-auth", auth},
		{"ValidatingWebhookConfiguration", "validatingwebhookconfigurations", "chaos-mesh-validation", validating},
	} {
		err := c.Post("/apis/admissionregistration.k8s.io/v1/"+w.plural, object{"apiVersion": "admissionregistration.k8s.io/v1",
			"kind": w.kind, "metadata": object{"name": w.name}, "webhooks": w.hooks}, nil)
		if err != nil {
			return fmt.Errorf("installing webhooks: %w", err)
		}
	}
	err := c.awaitTrials(func(good, bad string) bool {
		return strings.HasPrefix(good, "m") || good == filledIn && strings.HasPrefix(bad, "v")
	})
	if err != nil {
		return fmt.Errorf("waiting until webhooks are asked: %w", err)
	}
	return nil
}

// RemoveWebhooks makes the API server ask nobody about Chaos Mesh's objects, and returns when it does so: with the controllers
// stopped, whatever the schemas allow is taken, and nothing acts on it.
func (c *Cluster) RemoveWebhooks() error {
	const at = "/apis/admissionregistration.k8s.io/v1/"
	err := errors.Join(c.Delete(at+"mutatingwebhookconfigurations/chaos-mesh-mutation"),
		c.Delete(at+"validatingwebhookconfigurations/chaos-mesh-validation"),
		c.Delete(at+"validatingwebhookconfigurations/chaos-mesh-validation-auth"))
	if err == nil {
		err = c.awaitTrials(func(good, bad string) bool { return good == takenAsIs && bad == takenAsIs })
	}
	if err != nil {
		return fmt.Errorf("removing webhooks: %w", err)
	}
	return nil
}

// What becomes of an object on trial that no webhook refuses. For one that is refused it is the webhook's name, which begins with an m when
// it fills in what is left out, and with a v when it judges.
const (
	takenAsIs = ""
	filledIn  = "filled in"
)

// awaitTrials returns when what becomes of an object that is right, and of one that only a webhook refuses, is as it is to be. The API
// server learns of both kinds of webhooks by watches of their own, and of those of one kind in the order in which they were made.
func (c *Cluster) awaitTrials(yes func(good, bad string) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	return poll(ctx, func() (bool, error) {
		good, err := c.trial("1")
		if err != nil {
			return false, err
		}
		bad, err := c.trial("none") // the schema allows any text, and the webhook wants a number
		return err == nil && yes(good, bad), err
	})
}

// trial asks the API server what would become of an object with some value and no namespaces to select from.
func (c *Cluster) trial(value string) (string, error) {
	var out struct {
		Spec struct{ Selector struct{ Namespaces []string } }
	}
	err := c.Try("/apis/chaos-mesh.org/v1alpha1/namespaces/"+MeshNamespace+"/podchaos", object{"apiVersion": "chaos-mesh.org/v1alpha1",
		"kind": "PodChaos", "metadata": object{"name": "trial"}, "spec": object{"action": "pod-kill", "mode": "fixed", "value": value,
			"selector": object{"labelSelectors": object{"app": "none"}}}}, &out)
	var status *StatusError
	switch {
	case errors.As(err, &status):
		_, name, _ := strings.Cut(status.Message, `webhook "`)
		if name == "" {
			return "", err
		}
		return name, nil
	case err != nil:
		return "", err
	case len(out.Spec.Selector.Namespaces) > 0:
		return filledIn, nil
	}
	return takenAsIs, nil
}

// meshObjects makes what shows in a cluster that Chaos Mesh is installed, and which version: the Deployment of its
// controllers, with a status as if their pod was there. The program itself stands beside the cluster.
func (c *Cluster) meshObjects() error {
	version := c.options.MeshVersion
	if version == "" {
		version = MeshVersion
	}
	chosen := object{"app.kubernetes.io/name": "chaos-mesh", "app.kubernetes.io/instance": "chaos-mesh", "app.kubernetes.io/component": "controller-manager"}
	labels := object{"app.kubernetes.io/version": version, "app.kubernetes.io/part-of": "chaos-mesh", "helm.sh/chart": "chaos-mesh-" + version}
	for k, v := range chosen {
		labels[k] = v
	}
	const path = "/apis/apps/v1/namespaces/" + MeshNamespace + "/deployments"
	err := c.Post(path, object{"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": object{"name": "chaos-controller-manager", "labels": labels},
		"spec": object{"replicas": 1, "selector": object{"matchLabels": chosen}, "template": object{
			"metadata": object{"labels": labels},
			"spec": object{"containers": []object{{"name": "chaos-mesh", "image": "ghcr.io/chaos-mesh/chaos-mesh:v" + version,
				"command": []string{"/usr/local/bin/chaos-controller-manager"}}}}}}}, nil)
	if err != nil {
		return err
	}
	if err := c.Patch(path+"/chaos-controller-manager/status", object{"status": object{"observedGeneration": 1, "replicas": 1,
		"updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}}, nil); err != nil {
		return err
	}
	return c.Post("/api/v1/namespaces/"+MeshNamespace+"/services", object{"apiVersion": "v1", "kind": "Service",
		"metadata": object{"name": "chaos-mesh-controller-manager", "labels": labels},
		"spec":     object{"selector": chosen, "ports": []object{{"name": "webhook", "port": 443, "targetPort": "webhook"}}}}, nil)
}

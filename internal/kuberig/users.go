package kuberig

import (
	"crypto/x509/pkix"
	"fmt"
	"testing"
	"time"
)

// issuer is who the API server says that it is in the tokens of service accounts.
const issuer = "https://kubernetes.default.svc"

// Rule allows verbs on resources (rbac.authorization.k8s.io/v1, PolicyRule).
type Rule struct {
	Groups    []string `json:"apiGroups,omitempty"` // "" for the core
	Resources []string `json:"resources,omitempty"` // "pods", "pods/log"
	Names     []string `json:"resourceNames,omitempty"`
	URLs      []string `json:"nonResourceURLs,omitempty"`
	Verbs     []string `json:"verbs"`
}

// User is somebody who may do what some rules allow.
type User struct {
	Name   string
	Groups []string
	// Namespace makes the user a service account of that namespace, with a token. Otherwise it has a client certificate.
	Namespace string
	Rules     []Rule            // in the whole cluster
	In        map[string][]Rule // by namespace
	// Expired gives a service account a token that is out of date by an hour.
	Expired bool
}

// Kubeconfig makes a user and what allows it its rules, and returns the path of a kubeconfig for it. Called again with
// the same name, it changes nothing that stands.
func (c *Cluster) Kubeconfig(t testing.TB, u User) string {
	t.Helper()
	path := c.path(fmt.Sprintf("user-%s-%s.kubeconfig", u.Namespace, u.Name))
	config := kubeconfig{server: "https://" + c.gate.address, authority: c.servers.pem, namespace: u.Namespace}
	var err error
	if u.Namespace == "" {
		config.client, err = c.clients.issue(pkix.Name{CommonName: u.Name, Organization: u.Groups})
	} else {
		config.token, err = c.token(u)
	}
	if err == nil {
		err = c.allow(u)
	}
	if err == nil {
		err = config.write(path)
	}
	if err != nil {
		t.Fatalf("making user %s: %v", u.Name, err)
	}
	return path
}

// token makes a service account, unless there is one, and a token for it.
func (c *Cluster) token(u User) (string, error) {
	accounts := "/api/v1/namespaces/" + u.Namespace + "/serviceaccounts"
	err := c.Post(accounts, object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": object{"name": u.Name}}, nil)
	if err != nil && !IsCode(err, 409) {
		return "", err
	}
	if !u.Expired {
		var made struct{ Status struct{ Token string } }
		err := c.Post(accounts+"/"+u.Name+"/token", object{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": object{}}, &made)
		return made.Status.Token, err
	}
	var account struct{ Metadata struct{ UID string } }
	if err := c.Get(accounts+"/"+u.Name, &account); err != nil {
		return "", err
	}
	end := time.Now().Add(-time.Hour)
	return signToken(c.signer, object{"iss": issuer, "aud": []string{issuer}, "sub": "system:serviceaccount:" + u.Namespace + ":" + u.Name,
		"iat": end.Add(-time.Hour).Unix(), "nbf": end.Add(-time.Hour).Unix(), "exp": end.Unix(),
		"kubernetes.io": object{"namespace": u.Namespace, "serviceaccount": object{"name": u.Name, "uid": account.Metadata.UID}}})
}

// allow makes the roles of a user and gives them to it.
func (c *Cluster) allow(u User) error {
	const rbac = "/apis/rbac.authorization.k8s.io/v1"
	subject := object{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": u.Name}
	if u.Namespace != "" {
		subject = object{"kind": "ServiceAccount", "namespace": u.Namespace, "name": u.Name}
	}
	give := func(prefix, kind, plural string, rules []Rule) error {
		meta := object{"name": "rig-" + u.Namespace + "-" + u.Name}
		err := c.Post(prefix+"/"+plural+"s", object{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": meta, "rules": rules}, nil)
		if err != nil && !IsCode(err, 409) {
			return err
		}
		err = c.Post(prefix+"/"+plural+"bindings", object{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind + "Binding", "metadata": meta,
			"roleRef": object{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": meta["name"]}, "subjects": []object{subject}}, nil)
		if IsCode(err, 409) {
			return nil
		}
		return err
	}
	if len(u.Rules) > 0 {
		if err := give(rbac, "ClusterRole", "clusterrole", u.Rules); err != nil {
			return err
		}
	}
	for namespace, rules := range u.In {
		if err := give(rbac+"/namespaces/"+namespace, "Role", "role", rules); err != nil {
			return err
		}
	}
	return nil
}

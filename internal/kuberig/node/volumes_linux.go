package node

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gameday/internal/kuberig"
)

// binds makes what a container mounts, and returns it as the engine's binds.
func (n *Node) binds(p *pod, c container) ([]string, error) {
	var out []string
	for _, m := range c.VolumeMounts {
		dir := ""
		for _, v := range p.Spec.Volumes {
			if v.Name == m.Name {
				var err error
				if dir, err = n.volume(p, v); err != nil {
					return nil, fmt.Errorf("volume %s: %w", v.Name, err)
				}
			}
		}
		if dir == "" {
			return nil, fmt.Errorf("no volume %s", m.Name)
		}
		bind := filepath.Join(dir, m.SubPath) + ":" + m.MountPath
		if m.ReadOnly {
			bind += ":ro"
		}
		out = append(out, bind)
	}
	return out, nil
}

// volume returns the folder of a volume, filled.
func (n *Node) volume(p *pod, v volume) (string, error) {
	dir := filepath.Join(n.dir, p.key(), v.Name)
	switch {
	case v.HostPath != nil:
		return v.HostPath.Path, nil
	case v.PersistentVolumeClaim != nil: // kept for as long as the node
		dir = n.Claim(p.Metadata.Namespace, v.PersistentVolumeClaim.ClaimName)
		return dir, open(dir)
	case v.EmptyDir != nil:
		return dir, open(dir)
	}
	parts := []projection{v.projection}
	if v.Projected != nil {
		parts = v.Projected.Sources
	}
	if err := open(dir); err != nil {
		return "", err
	}
	for _, part := range parts {
		files, err := n.project(p, part)
		if err != nil {
			return "", err
		}
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
				return "", err
			}
		}
	}
	return dir, nil
}

// open makes a folder that every user may write to, as containers are anybody.
func open(dir string) error {
	return errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o777))
}

// project returns the files of a part of a volume.
func (n *Node) project(p *pod, part projection) (map[string]string, error) {
	switch {
	case part.ConfigMap != nil:
		data, err := n.data(p, "configmaps", part.ConfigMap.Name)
		return pick(data, part.ConfigMap.Items), err
	case part.Secret != nil:
		name := part.Secret.Name + part.Secret.SecretName // one of them is there
		data, err := n.data(p, "secrets", name)
		return pick(data, part.Secret.Items), err
	case part.ServiceAccountToken != nil:
		token, err := n.token(p, part.ServiceAccountToken.Audience, max(600, part.ServiceAccountToken.ExpirationSeconds))
		return map[string]string{part.ServiceAccountToken.Path: token}, err
	case part.DownwardAPI != nil:
		files := map[string]string{}
		for _, i := range part.DownwardAPI.Items {
			files[i.Path] = p.field(i.FieldRef.FieldPath, "", kuberig.Address)
		}
		return files, nil
	}
	return nil, errors.New("this rig does not know its kind")
}

// pick returns the items of some data under their paths, or all of it.
func pick(data map[string]string, items []item) map[string]string {
	if len(items) == 0 {
		return data
	}
	out := map[string]string{}
	for _, i := range items {
		out[i.Path] = data[i.Key]
	}
	return out
}

// data returns what is in a ConfigMap or a Secret of the pod's namespace.
func (n *Node) data(p *pod, plural, name string) (map[string]string, error) {
	var got struct{ Data, BinaryData map[string]string }
	if err := n.c.Get("/api/v1/namespaces/"+p.Metadata.Namespace+"/"+plural+"/"+name, &got); err != nil {
		return nil, err
	}
	encoded := got.BinaryData
	out := map[string]string{}
	if plural == "secrets" {
		encoded = got.Data
	} else {
		for k, v := range got.Data {
			out[k] = v
		}
	}
	for k, v := range encoded {
		text, err := base64.StdEncoding.DecodeString(v)
		if err != nil {
			return nil, err
		}
		out[k] = string(text)
	}
	return out, nil
}

// token returns a token for the pod's service account that is good for as long as the pod.
func (n *Node) token(p *pod, audience string, seconds int64) (string, error) {
	spec := object{"expirationSeconds": seconds, "boundObjectRef": object{"kind": "Pod", "apiVersion": "v1", "name": p.Metadata.Name, "uid": p.Metadata.UID}}
	if audience != "" {
		spec["audiences"] = []string{audience}
	}
	var made struct{ Status struct{ Token string } }
	err := n.c.Post("/api/v1/namespaces/"+p.Metadata.Namespace+"/serviceaccounts/"+p.Spec.ServiceAccount+"/token",
		object{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}, &made)
	return made.Status.Token, err
}

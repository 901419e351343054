package kuberig

import "path/filepath"

// OperatorParts is what an installation of the k6 operator is made of.
type OperatorParts struct {
	// Version is the module's: "v0.0.19".
	Version string
	// Manager is the path of its program.
	Manager string
	// Bundle is the path of the objects that its releases are installed by, in YAML: definitions, roles, a Deployment.
	Bundle string
}

// K6Operator returns where the parts of the k6 operator are, in the version that tools/k6operator asks for, or why they are not there.
func (c *Cluster) K6Operator() (OperatorParts, error) { return c.versions.operator() }

// K6OperatorBundle returns the path of the k6 operator's bundle for a test that needs no cluster.
func K6OperatorBundle() (OperatorParts, error) {
	v, err := look()
	if err != nil {
		return OperatorParts{}, err
	}
	return v.operator()
}

func (v *versions) operator() (OperatorParts, error) {
	manager := v.program("k6-operator")
	o := OperatorParts{Version: v.k6Operator, Manager: manager, Bundle: filepath.Join(filepath.Dir(manager), "bundle.yaml")}
	return o, missing([]string{o.Manager, o.Bundle}, nil)
}

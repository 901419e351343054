package kuberig

import (
	"path/filepath"
	"testing"
)

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
func (c *Cluster) K6Operator() (OperatorParts, error) {
	o := c.versions.operator()
	return o, missing([]string{o.Manager, o.Bundle}, nil)
}

// K6OperatorBundle is the same for a test that needs only the bundle. The test is skipped where it is not there, and fails where CI is set.
func K6OperatorBundle(t testing.TB) OperatorParts {
	t.Helper()
	v, err := look()
	if err != nil {
		t.Fatal(err)
	}
	o := v.operator()
	if err := missing([]string{o.Bundle}, nil); err != nil {
		unable(t, err)
	}
	return o
}

func (v *versions) operator() OperatorParts {
	manager := v.program("k6-operator")
	return OperatorParts{Version: v.k6Operator, Manager: manager, Bundle: filepath.Join(filepath.Dir(manager), "bundle.yaml")}
}

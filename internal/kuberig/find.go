package kuberig

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Whole is the environment variable without which tests with a whole cluster are skipped. `make test-kubernetes` sets it.
const Whole = "GAMEDAY_KUBERNETES"

// cacheVariable names another folder for the programs that tools/setup-kubernetes builds.
const cacheVariable = "GAMEDAY_KUBERNETES_DIR"

// The programs of a cluster, by the module that they are built from.
var (
	ofKubernetes = []string{"kube-apiserver", "kube-controller-manager", "kubectl"}
	ofChaosMesh  = []string{"chaos-controller-manager", "chaos-daemon"}
	ofOperator   = []string{"k6-operator"}
)

// unable skips a test that cannot run here, and fails it where CI is set.
func unable(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// wanted skips a test with a whole cluster unless it was asked for.
func wanted(t testing.TB) {
	t.Helper()
	if os.Getenv(Whole) == "" {
		t.Skipf("needs a whole cluster: run make test-kubernetes, or set %s=1 after tools/setup-kubernetes", Whole)
	}
}

// versions are what tools/kubernetes, tools/chaosmesh and tools/k6operator ask for, and where that is built.
type versions struct {
	root       string // of the repository
	cache      string
	kubernetes string
	chaosMesh  string
	meshAPI    string // of the types that its definitions are made of
	k6Operator string
}

// look reads the versions from the repository that the test runs in.
func look() (*versions, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for !exists(filepath.Join(dir, "tools", "kubernetes", "go.mod")) {
		if filepath.Dir(dir) == dir {
			return nil, errors.New("tools/kubernetes/go.mod is in no folder above this one")
		}
		dir = filepath.Dir(dir)
	}
	v := &versions{root: dir, cache: os.Getenv(cacheVariable)}
	if v.cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		v.cache = filepath.Join(user, "gameday", "kubernetes")
	}
	if v.kubernetes, err = required(filepath.Join(dir, "tools", "kubernetes", "go.mod"), "k8s.io/kubernetes"); err != nil {
		return nil, err
	}
	if v.chaosMesh, err = required(filepath.Join(dir, "tools", "chaosmesh", "go.mod"), "github.com/chaos-mesh/chaos-mesh"); err != nil {
		return nil, err
	}
	if v.meshAPI, err = required(filepath.Join(dir, "tools", "chaosmesh", "go.mod"), "github.com/chaos-mesh/chaos-mesh/api"); err != nil {
		return nil, err
	}
	if v.k6Operator, err = required(filepath.Join(dir, "tools", "k6operator", "go.mod"), "github.com/grafana/k6-operator"); err != nil {
		return nil, err
	}
	return v, nil
}

// required returns the version of a module that a go.mod asks for, or puts in the place of another one.
func required(path, module string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	version := ""
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(line), "require "), "replace "))
		if len(f) >= 4 && f[0] == module && f[1] == "=>" {
			return f[3], nil
		}
		if len(f) >= 2 && f[0] == module && strings.HasPrefix(f[1], "v") {
			version = f[1]
		}
	}
	if version != "" {
		return version, nil
	}
	return "", fmt.Errorf("%s asks for no %s", path, module)
}

// schemaServer returns where the schema server is that is built from the present sources.
func (v *versions) schemaServer() (string, error) {
	dir := filepath.Join(v.root, "tools", "kubernetes")
	sources, err := filepath.Glob(filepath.Join(dir, "schemaserver", "*.go"))
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, path := range append([]string{filepath.Join(dir, "go.sum")}, sources...) {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		sum.Write(text)
	}
	return filepath.Join(v.cache, v.kubernetes, fmt.Sprintf("schemaserver-%.6x", sum.Sum(nil))), nil
}

// program returns where a program of a cluster is.
func (v *versions) program(name string) string {
	switch {
	case slices.Contains(ofChaosMesh, name):
		return filepath.Join(v.cache, "chaos-mesh-"+v.chaosMesh, name)
	case slices.Contains(ofOperator, name):
		return filepath.Join(v.cache, "k6-operator-"+v.k6Operator, name)
	}
	return filepath.Join(v.cache, v.kubernetes, name)
}

// definitions returns the folder with the definitions of Chaos Mesh's kinds.
func (v *versions) definitions() string {
	return filepath.Join(v.cache, "chaos-mesh-"+v.chaosMesh, "crds-"+v.meshAPI)
}

// missing returns what of some files and programs in PATH is not there.
func missing(files, programs []string) error {
	for _, path := range files {
		if !exists(path) {
			return fmt.Errorf("needs %s: run tools/setup-kubernetes, which builds it", path)
		}
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("needs the program %s: run tools/setup-kubernetes, which installs its Debian package", p)
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Package fence holds the test that keeps packages small and imports one way.
package fence

import (
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// module is the module's path, which begins every package of ours.
const module = "gameday"

// layers says which packages of ours each package may import, by the beginning of their paths. A package that is not
// listed may import none. "x/..." stands for x and everything below it.
var layers = []struct {
	pkg string
	may []string
}{
	{"clock", nil},
	{"sizes", nil},
	{"policy", nil},
	{"audit", nil},
	{"programs", nil},
	{"schedules", nil},
	{"schedules/...", []string{"schedules"}},
	{"rehearsals", []string{"clock", "report", "schedules"}},
	{"rehearsals/kept", []string{"rehearsals", "report"}},
	{"rehearsals/bundle", []string{"rehearsals", "rehearsals/kept", "report", "report/archive"}},
	{"announce", []string{"clock", "report"}},
	{"announce/told", []string{"announce"}},
	{"announce/deliver", []string{"announce", "report"}},
	{"announce/crier", []string{"announce", "announce/deliver", "announce/told", "schedules", "schedules/claims"}},
	{"loadgen", nil},
	{"loadgen/sli", []string{"loadgen"}},
	{"loadgen/internal/child", []string{"loadgen", "sizes"}},
	{"loadgen/baseline", []string{"clock"}},
	{"loadgen/k6", []string{"loadgen", "loadgen/internal/child", "loadgen/k6/internal/wire", "programs"}},
	{"loadgen/k6/internal/wire", []string{"loadgen"}},
	{"loadgen/k6/program", []string{"loadgen", "loadgen/internal/child", "loadgen/k6/internal/wire"}},
	{"loadgen/podlogs", []string{"loadgen"}},
	{"loadgen/collector", []string{"faults", "loadgen", "loadgen/internal/child", "loadgen/podlogs", "loadgen/remote"}},
	{"loadgen/kubernetes", []string{"faults", "faults/cluster", "loadgen", "loadgen/collector", "loadgen/podlogs"}},
	{"loadgen/remote", []string{"clock", "loadgen", "loadgen/internal/child"}},
	{"loadgen/native", []string{"loadgen", "loadgen/internal/child"}},
	{"faults", nil},
	{"faults/guard", []string{"faults", "policy"}},
	{"faults/kinds", []string{"faults/..."}},
	{"faults/cluster", []string{"faults", "faults/find", "faults/guard", "sizes"}},
	{"faults/chaosmesh", []string{"faults/...", "sizes"}},
	{"faults/command", []string{"faults", "faults/output", "targets/lab/power"}},
	{"faults/node", []string{"faults", "faults/ssh", "targets/lab/power"}},
	{"faults/internal/netns", []string{"faults"}},
	{"faults/listening", []string{"faults/internal/netns"}},
	{"faults/find", []string{"faults", "faults/listening"}},
	{"faults/dns", []string{"faults", "faults/internal/netns"}},
	{"faults/network", []string{"faults", "faults/internal/netns"}},
	{"faults/stress", []string{"faults", "faults/internal/netns", "sizes"}},
	{"faults/...", []string{"faults"}},
	{"targets/lab/power", []string{"faults"}},
	{"targets/lab", []string{"faults", "faults/listening", "faults/output", "targets/lab/power"}},
	{"targets/hosts", []string{"faults", "faults/find", "faults/guard", "faults/ssh", "programs"}},
	{"targets/cluster", []string{"faults", "faults/cluster", "faults/find", "faults/guard", "programs"}},
	{"targets", []string{"faults", "faults/cluster", "faults/find", "faults/guard", "targets/cluster", "targets/hosts", "targets/lab/power"}},
	{"sources/icinga2", []string{"clock", "faults", "sources/..."}},
	{"sources/...", []string{"clock", "faults"}},
	{"alarms", []string{"clock"}},
	{"alarms/internal/...", []string{"alarms/...", "clock", "faults", "sources/..."}},
	{"alarms/builtin", []string{"alarms/...", "clock", "faults", "loadgen/sli", "sources/..."}},
	{"alarms/...", []string{"alarms", "alarms/internal/...", "clock", "faults", "sources/..."}},
	{"responders", []string{"clock"}},
	{"responders/internal/...", []string{"responders", "responders/internal/...", "clock", "faults", "sources/..."}},
	{"responders/...", []string{"responders", "responders/internal/...", "clock", "faults", "sources/..."}},
	{"report", []string{"clock", "faults", "loadgen", "loadgen/baseline", "loadgen/sli", "alarms", "responders"}},
	{"report/stats", nil},
	{"report/archive", []string{"report"}},
	{"report/history", []string{"clock", "report"}},
	{"report/trends", []string{"clock", "report", "report/history", "report/stats"}},
	{"report/fresh", []string{"report", "report/history"}},
	{"report/badge", []string{"report", "report/history"}},
	{"report/postmortem", []string{"clock", "report"}},
	{"report/export", []string{"clock", "report"}},
	{"report/compare", []string{"clock", "report", "report/stats", "loadgen/sli"}},
	{"scenarios", []string{"announce", "faults", "faults/cluster", "targets/...", "loadgen/...", "alarms/...", "responders/...", "rehearsals", "report", "policy", "schedules", "schedules/ical", "sizes"}},
	{"importer", []string{"loadgen", "loadgen/sli", "scenarios"}},
	{"conductor/pairs", []string{"report", "report/compare", "report/stats"}},
	{"conductor/screen", []string{"alarms", "clock", "loadgen/...", "report", "responders"}},
	{"conductor", []string{"clock", "scenarios", "targets/...", "faults/...", "loadgen/...", "alarms/...", "responders/...", "report", "policy", "audit"}},
	{"room", []string{"alarms", "clock", "conductor/screen", "loadgen", "report", "responders"}},
	{"room/door", []string{"room"}},
	{"room/gate", []string{"audit", "room", "room/door"}},
	{"room/web", []string{"audit", "report", "responders", "room", "room/door", "room/gate", "sizes"}},
	{"serve/web", []string{"audit", "clock", "rehearsals", "report", "report/...", "room", "room/...", "schedules"}},
	{"serve", []string{"audit", "rehearsals", "rehearsals/kept", "report", "report/history", "schedules", "schedules/claims", "serve/store", "serve/web"}},
	{"serve/store", []string{"rehearsals", "rehearsals/kept", "report", "report/history", "schedules", "schedules/claims"}},
	{"cmd/gameday-guard", []string{"faults/..."}},
	{"cmd/gameday-kubernetes", []string{"faults/...", "loadgen/kubernetes"}},
	{"cmd/gameday-k6", []string{"loadgen/k6/program", "programs"}},
	{"cmd/gameday", []string{"announce/...", "conductor/...", "importer", "scenarios", "targets/...", "faults/...", "loadgen/...", "alarms/...", "responders/...", "report/...", "policy", "audit", "programs", "rehearsals/...", "room/...", "schedules/...", "serve/..."}},
	{"deploy", nil},
	{"examples/shop-containers", []string{"internal/dockerrig"}},
	{"examples/...", nil},
	{"internal/...", []string{"..."}},
}

// fences says which packages of ours alone may import a library directly.
var fences = []struct {
	library string
	only    []string
}{
	{"github.com/hashicorp/hcl", []string{"scenarios", "conductor", "cmd/gameday"}},
	{"github.com/zclconf/go-cty", []string{"scenarios", "conductor"}},
	{"go.k6.io/", []string{"loadgen/k6/program"}},
	{"github.com/evanw/esbuild", []string{"loadgen/k6"}},
	{"github.com/aws/", []string{"alarms/cloudwatch"}},
	{"github.com/valyala/fasthttp", []string{"loadgen/native"}},
	{"github.com/tidwall/gjson", []string{"alarms/webhook", "importer", "loadgen/baseline", "loadgen/native", "responders/internal/page", "responders/webhook"}},
	{"github.com/getkin/kin-openapi", []string{"importer"}},
	{"github.com/grafana/sobek", []string{"importer"}},
	{"golang.org/x/text", []string{"importer"}},
	{"google.golang.org/grpc", []string{"loadgen/native"}},
	{"google.golang.org/protobuf", []string{"loadgen/native", "report/export"}},
	{"go.opentelemetry.io/", nil},
	{"github.com/chaos-mesh/chaos-mesh", []string{"faults/chaosmesh"}},
	{"k8s.io/", []string{"faults/chaosmesh", "loadgen/kubernetes"}},
	{"sigs.k8s.io/", []string{"faults/chaosmesh", "loadgen/kubernetes"}},
	{"github.com/vishvananda/", []string{"faults/network", "targets/lab"}},
	{"github.com/google/nftables", []string{"faults/dns", "faults/internal/netns", "faults/network", "targets/lab"}},
	{"github.com/olekukonko/tablewriter", []string{"report"}},
	{"github.com/ajstarks/svgo", []string{"report"}},
	{"github.com/spf13/cobra", []string{"cmd/gameday"}},
	{"github.com/aclements/go-moremath", []string{"loadgen/baseline", "report/stats"}},
	{"github.com/moby/moby/", []string{"targets"}},
	{"github.com/robfig/cron", []string{"schedules"}},
	{"github.com/arran4/golang-ical", []string{"schedules/ical"}},
	{"github.com/teambition/rrule-go", []string{"schedules/ical"}},
	{"github.com/gomodule/redigo", []string{"examples/suite/cmd/suite"}},
	{"github.com/lib/pq", []string{"examples/suite/cmd/suite"}},
	{"github.com/wneessen/go-mail", []string{"announce/deliver"}},
	{"modernc.org/", []string{"serve/store"}},
	{"github.com/HdrHistogram/", nil},
	{"github.com/gorilla/websocket", nil},
	{"github.com/rogpeppe/go-internal", nil},
	{"github.com/google/go-cmp", nil},
	{"pgregory.net/rapid", nil},
	{"gopkg.in/yaml.v3", nil},
}

// light says what a program must not link, however deep.
var light = map[string][]string{
	"cmd/gameday":            {"go.k6.io/", "k8s.io/", "sigs.k8s.io/", "github.com/chaos-mesh/"},
	"cmd/gameday-k6":         {"github.com/hashicorp/hcl", "k8s.io/", "sigs.k8s.io/", "github.com/chaos-mesh/", "github.com/moby/moby/", "github.com/aws/"},
	"cmd/gameday-kubernetes": {"go.k6.io/k6", "github.com/hashicorp/hcl", "github.com/spf13/cobra", "github.com/moby/moby/", "github.com/aws/"},
	"cmd/gameday-guard":      {"go.k6.io/k6", "github.com/hashicorp/hcl", "k8s.io/", "github.com/spf13/cobra", "github.com/vishvananda/netlink", "github.com/moby/moby/", "github.com/aws/"},
}

// list runs go list and returns its lines, split at spaces.
func list(t *testing.T, args ...string) [][]string {
	t.Helper()
	c := exec.Command("go", append([]string{"list"}, args...)...)
	c.Dir = "../.."
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	var lines [][]string
	for line := range strings.Lines(string(out)) {
		lines = append(lines, strings.Fields(line))
	}
	return lines
}

// own returns the path of a package of ours within the module.
func own(pkg string) (string, bool) { return strings.CutPrefix(pkg, module+"/") }

// under reports whether a package is what a pattern stands for.
func under(pattern, pkg string) bool {
	base, below := strings.CutSuffix(pattern, "/...")
	return pattern == "..." || pkg == base || (below && strings.HasPrefix(pkg, base+"/"))
}

// TestLayers holds imports to one way.
func TestLayers(t *testing.T) {
	for _, line := range list(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...") {
		pkg, ok := own(line[0])
		if !ok {
			continue
		}
		i := slices.IndexFunc(layers, func(l struct {
			pkg string
			may []string
		}) bool {
			return under(l.pkg, pkg)
		})
		if i < 0 {
			t.Errorf("package %s has no place in the house: add it to layers, and to docs/tour.md", pkg)
			continue
		}
		for _, imported := range line[1:] {
			to, ok := own(imported)
			if !ok {
				continue
			}
			if !slices.ContainsFunc(layers[i].may, func(p string) bool { return under(p, to) }) {
				t.Errorf("%s imports %s, and may import %v", pkg, to, layers[i].may)
			}
		}
	}
}

// TestLibraries holds each library to the package that wraps it.
func TestLibraries(t *testing.T) {
	for _, line := range list(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...") {
		pkg, ok := own(line[0])
		if !ok {
			continue
		}
		for _, imported := range line[1:] {
			for _, f := range fences {
				if strings.HasPrefix(imported, f.library) && !slices.Contains(f.only, pkg) && !strings.HasPrefix(pkg, "internal/") {
					t.Errorf("%s imports %s, which is for %v alone", pkg, imported, f.only)
				}
			}
		}
	}
}

// TestLight keeps each program to what it is for. k6 itself links cobra.
func TestLight(t *testing.T) {
	for program, heavy := range light {
		for _, line := range list(t, "-deps", "-f", "{{.ImportPath}}", "./"+program) {
			for _, h := range heavy {
				if strings.HasPrefix(line[0], h) {
					t.Errorf("%s links %s", program, line[0])
				}
			}
		}
	}
}

// TestTour holds docs/tour.md to a line for every package.
func TestTour(t *testing.T) {
	tour, err := os.ReadFile("../../docs/tour.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range list(t, "./...") {
		if pkg, ok := own(line[0]); ok && !strings.Contains(string(tour), "`"+path.Clean(pkg)+"`") {
			t.Errorf("docs/tour.md has no line for `%s`", pkg)
		}
	}
}

package find

import (
	"slices"
	"strings"

	"github.com/prometheus/procfs"
)

// unitSuffixes end the names of systemd's units that hold processes.
var unitSuffixes = []string{".service", ".scope", ".slice", ".socket", ".mount", ".swap"}

// unitName returns a unit's full name: as for systemctl, one without a type is a service.
func unitName(unit string) string {
	if isUnit(unit) {
		return unit
	}
	return unit + ".service"
}

func isUnit(name string) bool {
	return slices.ContainsFunc(unitSuffixes, func(s string) bool { return strings.HasSuffix(name, s) && name != s })
}

// inUnit reports whether a process in these cgroups belongs to a systemd unit. systemd keeps its units in the cgroup v2
// hierarchy (number 0) or in a v1 one of its own that is named systemd, and a unit's path ends in the unit's name. What a
// service makes below its own cgroup is still its own, until another unit begins there: the processes of
// "/user.slice/user-1000.slice/user@1000.service/app.slice/shop.service" are those of shop.service, not of the user's manager.
func inUnit(groups []procfs.Cgroup, unit string) bool {
	return slices.ContainsFunc(groups, func(g procfs.Cgroup) bool {
		if g.HierarchyID != 0 && !slices.Contains(g.Controllers, "name=systemd") {
			return false
		}
		parts := strings.Split(g.Path, "/")
		for _, part := range slices.Backward(parts) {
			if isUnit(part) {
				return part == unit
			}
		}
		return false
	})
}

// inCgroup reports whether one of a process's cgroups, in whatever hierarchy, is the one at the path or below it.
func inCgroup(groups []procfs.Cgroup, at string) bool {
	return slices.ContainsFunc(groups, func(g procfs.Cgroup) bool {
		return g.Path == at || strings.HasPrefix(g.Path, at+"/")
	})
}

package child

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Where the kernel tells of a process's control groups.
const ownGroups, groupRoot = "/proc/self/cgroup", "/sys/fs/cgroup"

// groups calls each with the folders of this process's control group of a controller, and of those above it. In a container the
// highest is the container's. Of version 2 there is one group for all controllers.
func groups(own, root, controller string, each func(dir string, version int)) {
	text, err := os.ReadFile(own)
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) { // "4:memory:/system.slice", or "0::/system.slice" for version 2
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		top, version := root, 2
		if parts[1] != "" {
			if !slices.Contains(strings.Split(parts[1], ","), controller) {
				continue
			}
			top, version = filepath.Join(root, controller), 1
		}
		for dir := filepath.Join("/", parts[2]); ; dir = filepath.Dir(dir) {
			each(filepath.Join(top, dir), version)
			if dir == "/" {
				break
			}
		}
	}
}

// number reads a file with a number in it; false when there is another word, as "max".
func number(path string) (uint64, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}

// cores returns how many cores this process may use at once: those that Go uses, or what its control group lets it have of them.
func cores() float64 {
	return min(float64(runtime.GOMAXPROCS(0)), groupCores(ownGroups, groupRoot))
}

// groupCores returns the lowest limit of this process's control group and those above it, or infinity.
func groupCores(own, root string) float64 {
	least := math.Inf(1)
	lower := func(quota, period uint64) {
		if quota > 0 && period > 0 {
			least = min(least, float64(quota)/float64(period))
		}
	}
	groups(own, root, "cpu", func(dir string, version int) {
		if version == 1 {
			quota, limited := number(filepath.Join(dir, "cpu.cfs_quota_us")) // -1 is none
			if period, ok := number(filepath.Join(dir, "cpu.cfs_period_us")); ok && limited {
				lower(quota, period)
			}
			return
		}
		b, err := os.ReadFile(filepath.Join(dir, "cpu.max"))
		if words := strings.Fields(string(b)); err == nil && len(words) == 2 {
			quota, err := strconv.ParseUint(words[0], 10, 64) // or "max"
			if period, err2 := strconv.ParseUint(words[1], 10, 64); err == nil && err2 == nil {
				lower(quota, period)
			}
		}
	})
	return least
}

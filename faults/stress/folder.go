package stress

import (
	"fmt"
	"path/filepath"

	"gameday/faults"
)

// folderOn returns the path by which the guard reaches a folder of a place. A node of a lab has mounts of its own, which its
// first process shows to whoever may look at it; node is that process then. Everywhere else the guard's own mounts are meant.
func folderOn(p faults.Place, path string) (reached string, node *faults.Process) {
	if p.Node == nil || p.Node.Control == "" || p.Node.Init.PID == 0 {
		return path, nil
	}
	first := p.Node.Init
	return filepath.Join(fmt.Sprintf("/proc/%d/root", first.PID), path), &first
}

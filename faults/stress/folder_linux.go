package stress

import (
	"fmt"
	"os"

	"gameday/faults"
)

// stillThere says when a node's first process is not the one that it was: its mounts are gone with it then. Nil is no node.
func stillThere(node *faults.Process) error {
	if node == nil {
		return nil
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", node.PID))
	if err == nil {
		if _, start, bad := statIdentity(stat); bad == nil && start == node.Start {
			return nil
		}
	}
	return fmt.Errorf("looking at the folder to load: the node's first process (pid %d) is no longer there: it was restarted since", node.PID)
}

package lab

import (
	"os"
	"strings"
)

// The roles in which the program is executed again, as told by roleVariable.
const (
	roleVariable  = "GAMEDAY_LAB_ROLE"
	graceVariable = "GAMEDAY_LAB_GRACE"

	roleInit      = "init"
	roleNode      = "node"
	roleConductor = "conductor"
	roleProbe     = "probe"
)

// controlPath is where lab init listens, on the lab's own /run.
const controlPath = labRun + "/control"

// labRun is the lab's folder on its own /run.
const labRun = "/run/gameday"

// What RunRole found out.
var (
	roleKnown bool // without RunRole, executing ourselves again would start the whole program again
	conductor bool
)

// withoutRole returns the environment without the lab's own variables.
func withoutRole(env []string) []string {
	var out []string
	for _, e := range env {
		if !strings.HasPrefix(e, roleVariable+"=") && !strings.HasPrefix(e, graceVariable+"=") {
			out = append(out, e)
		}
	}
	return out
}

// takeRole returns this process's role and hides it from the processes it will start.
func takeRole() string {
	role := os.Getenv(roleVariable)
	if err := os.Unsetenv(roleVariable); err != nil {
		return role
	}
	roleKnown = true
	conductor = role == roleConductor
	return role
}

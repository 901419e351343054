package chaosmesh

import (
	"fmt"

	"gameday/faults"
	"gameday/faults/stress"
	"gameday/sizes"
)

// memoryUnits are those that Chaos Mesh's checks, what it starts in containers, and chaosd read alike, the first that fits is taken.
var memoryUnits = []struct {
	name string
	size uint64
}{{"MB", 1e6}, {"MiB", 1 << 20}, {"KB", 1e3}, {"KiB", 1 << 10}}

// memorySize returns how much memory a load takes, as a number and a unit.
func memorySize(m *stress.Memory) (string, error) {
	if err := refuse(
		unsupported{m.Size == "", "percent", "Chaos Mesh takes a share of all memory that a container or machine may have, and not of what is free, " +
			"which is what percent (80 when nothing is given) means. Write how much to take: size = \"2GB\"."},
		unsupported{m.Floor != "", "floor", "Chaos Mesh's load does not look how much memory is left, so it keeps no floor. Leave floor out, and size small enough."}); err != nil {
		return "", err
	}
	n, err := sizes.Parse(m.Size)
	if err != nil {
		return "", &faults.FieldError{Field: "size", Summary: "Invalid size", Detail: sentence(err.Error())}
	}
	for _, u := range memoryUnits {
		if n%u.size == 0 {
			return fmt.Sprintf("%d%s", n/u.size, u.name), nil
		}
	}
	return "", notHere("size", fmt.Sprintf("Chaos Mesh takes whole kilobytes, and %s is not so many. Write a rounder number, such as \"2GB\".", m.Size))
}

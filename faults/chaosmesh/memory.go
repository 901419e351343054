package chaosmesh

import (
	"fmt"

	"gameday/faults"
	"gameday/faults/stress"
	"gameday/sizes"
)

// memorySize returns how much memory a load takes, in bytes with their unit, as both Chaos Mesh and what it starts read it.
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
	return fmt.Sprintf("%dB", n), nil
}

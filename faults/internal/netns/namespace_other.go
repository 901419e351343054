//go:build !linux

package netns

import (
	"errors"

	"gameday/faults"
)

// Own returns an error: only Linux has network namespaces.
func Own() (*faults.Namespace, error) {
	return nil, errors.New("network faults need Linux: they stand on network namespaces")
}

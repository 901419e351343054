//go:build !linux

package listening

import "errors"

func ask(int, uint16) ([]uint64, error) { return nil, errors.ErrUnsupported }

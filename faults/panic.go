package faults

import (
	"fmt"
	"runtime/debug"
)

// PanicError is the panic of a kind, turned into an error so that whoever holds other faults can still revert them.
type PanicError struct {
	Value any
	Stack []byte
}

// Error returns the value and the stack.
func (p *PanicError) Error() string {
	return fmt.Sprintf("the kind panicked: %v\n%s", p.Value, p.Stack)
}

// Protect calls f and returns its panic, if any, as a *PanicError.
func Protect(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}

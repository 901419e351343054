//go:build !linux

package main

import "errors"

func sandbox()             {}
func pause([]string) error { return errors.New("needs Linux") }

func nsexec([]string) error { return errors.New("needs Linux") }

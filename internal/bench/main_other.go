//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: the figures come from /proc and from faults that only Linux has; run it there")
	os.Exit(1)
}

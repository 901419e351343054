//go:build !linux

// Command init is the first process of a test's virtual machine; it runs on Linux only.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "init: this program is the first process of a Linux machine")
	os.Exit(1)
}

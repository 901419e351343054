// Command gameday-guard stands on a target and holds faults for a gameday run. It speaks the protocol of package
// guard on standard input and output, and links the faults and nothing else.
package main

import (
	"os"

	"gameday/faults/guard"
	"gameday/faults/kinds"
)

func main() {
	os.Exit(guard.Main(kinds.All(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

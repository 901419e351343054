// Command gameday-guard stands on a target and holds faults for a gameday run. It speaks the protocol of package
// guard on standard input and output, and links the faults and nothing else.
package main

import (
	"os"

	"gameday/faults/find"
	"gameday/faults/guard"
	"gameday/faults/kinds"
	"gameday/faults/stress"
)

func main() {
	if stress.IsWorker() { // the guard starts itself again to hold a load
		stress.RunWorker()
	}
	p := guard.Program{Kinds: kinds.All(), Find: find.Answer}
	os.Exit(p.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

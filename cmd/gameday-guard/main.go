// Command gameday-guard stands on a target and holds faults for a gameday run. It speaks the protocol of package
// guard on standard input and output, and links the faults and nothing else.
package main

import (
	"io"
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
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, in io.Reader, out, errw io.Writer) int {
	p := guard.Program{Kinds: kinds.All(), Find: find.Answer}
	return p.Main(args, in, out, errw)
}

// Command gameday-kubernetes speaks to Kubernetes clusters for gameday: it is a guard whose faults are objects of Chaos Mesh, and as
// "gameday-kubernetes traffic" it starts the runners of a stream. It speaks the protocol of package guard, or of package loadgen/kubernetes,
// on standard input and output. gameday starts it when a scenario touches a cluster; nobody else needs to.
package main

import (
	"io"
	"os"

	"gameday/faults/chaosmesh"
	"gameday/faults/cluster"
	"gameday/faults/guard"
	"gameday/loadgen/kubernetes"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, in io.Reader, out, errw io.Writer) int {
	switch {
	case len(args) > 0 && args[0] == cluster.RevertVerb:
		return cluster.RevertMain(chaosmesh.Kinds(), args[1:], in, out, errw)
	case len(args) == 1 && args[0] == kubernetes.Verb:
		return kubernetes.Main(in, out, errw)
	}
	p := guard.Program{Name: cluster.Program, Kinds: chaosmesh.Kinds(), Find: chaosmesh.Answer}
	return p.Main(args, in, out, errw)
}

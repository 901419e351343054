// Program helper is several small programs, by the name that it is started under: web, a web server for pods of tests; and
// three that real nodes have from elsewhere, the sandbox of a pod, which holds its network, and nsexec and pause of Chaos
// Mesh's image, which are not Go programs.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	var err error
	switch name := filepath.Base(os.Args[0]); name {
	case "sandbox":
		sandbox()
	case "web":
		err = web(os.Args[1:])
	case "pause":
		err = pause(os.Args[1:])
	case "nsexec":
		err = nsexec(os.Args[1:])
	default:
		err = fmt.Errorf("no program %q", name)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

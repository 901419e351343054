package program

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"

	"gameday/loadgen/k6/internal/wire"
)

// help is what the program says of itself. k6's own help is a word away.
const help = wire.Program + ` runs the k6 scripts of gameday's scenarios. gameday starts it when a scenario has a script, and finds
it beside itself or in $PATH; both must be of one version. Nobody else needs to.

With any other arguments it is k6: "` + wire.Program + ` help" is k6's help, and "` + wire.Program + ` run script.js" runs a
script without gameday.

  ` + wire.VersionFlag + `   print the versions of this program and of k6, and exit
  --help      print this, and exit
`

// Main is the program's life; it never returns. Version is the program's own. Started under the name k6, it is k6.
func Main(version string) {
	if IsChild() {
		RunChild()
	}
	if filepath.Base(os.Args[0]) != "k6" {
		switch args := os.Args[1:]; {
		case len(args) == 0, slices.Equal(args, []string{"--help"}), slices.Equal(args, []string{"-h"}):
			say(os.Stdout, help)
		case slices.Equal(args, []string{wire.VersionFlag}):
			say(os.Stdout, fmt.Sprintf("%s%s\nk6 %s (%s, %s/%s)\n", wire.Says, version, k6Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH))
		}
	}
	RunPlain()
}

// say prints a text and ends the program.
func say(out io.Writer, text string) {
	if _, err := io.WriteString(out, text); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// k6Version returns the version of the k6 that is linked in.
func k6Version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "go.k6.io/k6/v2" {
				return m.Version
			}
		}
	}
	return "of an unknown version"
}

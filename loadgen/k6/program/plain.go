package program

import (
	"os"

	"go.k6.io/k6/v2/cmd"
)

// RunPlain makes this process the k6 command, with its arguments as they are, and never returns. It reports its use to nobody, and replaces
// itself by no download, unless the environment asks for that.
func RunPlain() {
	for name, value := range map[string]string{"K6_NO_USAGE_REPORT": "true", "K6_AUTO_EXTENSION_RESOLUTION": "false"} {
		if _, set := os.LookupEnv(name); !set {
			_ = os.Setenv(name, value) // which fails for malformed names alone
		}
	}
	cmd.Execute()
}

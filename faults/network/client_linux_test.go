package network_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"

	"gameday/faults/guard"
)

// playClient is a conductor: it starts a guard, has it inject the request in its first argument into the ledger
// of its second, says the guard's pid, and never renews. It ends when its standard input does, if it is not
// killed before.
func playClient() int {
	var r guard.InjectRequest
	if err := json.Unmarshal([]byte(os.Args[1]), &r); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd := exec.Command(os.Args[0], "--ledger", os.Args[2])
	cmd.Env = append(os.Environ(), roleVariable+"=guard")
	c, err := guard.Start(context.Background(), cmd)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if _, err := c.Inject(context.Background(), r); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(c.PID())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

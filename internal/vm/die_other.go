//go:build !linux

package vm

import "os/exec"

// startBound starts a command and returns a channel that gives its end. It outlives this process if that is killed:
// only Linux binds the two.
func startBound(cmd *exec.Cmd) (<-chan error, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		close(ended)
	}()
	return ended, nil
}

// Gameday runs game days: traffic at a multiple of a measured baseline, real faults, and a score of whether the service
// held, the alarms fired, and people responded.
package main

import (
	"errors"
	"fmt"
	"os"

	_ "golang.org/x/crypto/x509roots/fallback" // an image from scratch has no certificates of public authorities

	"gameday/faults/stress"
	"gameday/loadgen/native"
	"gameday/targets/lab"
)

func main() {
	// The program is also its own generator of requests without a script, lab and guard, and the worker of a guard's load: it starts itself
	// again in those roles.
	if stress.IsWorker() {
		stress.RunWorker()
	}
	if native.IsChild() {
		native.RunChild()
	}
	if asK6() {
		k6Role(os.Args[1:])
	}
	lab.RunRole()
	os.Exit(run(os.Args[1:]))
}

// The exit codes. 0, 1, 3, 4 and 5 are those of a verdict.
const (
	exitUsage        = 2
	exitInconclusive = 3
	exitResidue      = 5
)

// codeError ends the program with a code. Its text, if any, is printed as "gameday: …" on standard error.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *codeError) Unwrap() error { return e.err }

// usage is an error of the one who called: nothing was touched.
func usage(format string, args ...any) error {
	return &codeError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// run carries out one command line and returns the exit code.
func run(args []string) int {
	looks.Watch = watchLooks
	defer closeLooks()
	err := root(os.Stdout, os.Stderr).execute(args)
	if err == nil {
		return 0
	}
	code := asCode(err)
	if text := code.Error(); text != "" {
		fmt.Fprintf(os.Stderr, "gameday: %s\n", text)
	}
	return code.code
}

// asCode returns an error with the exit code that it ends the program with.
func asCode(err error) *codeError {
	var code *codeError
	if !errors.As(err, &code) {
		code = &codeError{code: exitUsage, err: err}
	}
	return code
}

// Package gcrig is for tests of what must outlive whoever forgets it.
package gcrig

import (
	"os"
	"runtime"
	"testing"
)

// Collect returns when the files to which nobody refers have been closed, by the garbage collector and what it sets off.
func Collect(t testing.TB) {
	t.Helper()
	for range 2 { // what the first round lets go of may have been all that referred to something
		r, err := forgotten()
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			var b [1]byte
			_, err := r.Read(b[:]) // ends when the other side is closed
			ended <- err
		}()
		for err = nil; err == nil; {
			runtime.GC()
			select {
			case err = <-ended:
			default:
				runtime.Gosched()
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// forgotten returns the one side of a pipe; nobody refers to the other one.
func forgotten() (*os.File, error) {
	r, _, err := os.Pipe()
	return r, err
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

const firstOrders = 1000 // orders that are there from the begin

// ordersRole serves orders. Two processes must never write to one folder, so each takes a lock at its start. The kernel
// lets go of its lock when the process is gone, however it went. A lock that is the mere existence of a file outlives
// a process that was killed, and keeps every one after it from starting.
func ordersRole(ctx context.Context, args []string, log io.Writer) (err error) {
	flags := flag.NewFlagSet("orders", flag.ContinueOnError)
	listen := flags.String("listen", ":9101", "address to serve on")
	dir := flags.String("dir", "/run/orders", "the folder that no two processes may use")
	by := flags.String("lock", "kernel", "what the lock is: kernel, or file, which counts as locked while it exists")
	if err := parse(flags, args, log); err != nil {
		return err
	}
	take, ok := map[string]func(string) (func() error, error){"kernel": lockByKernel, "file": lockByFile}[*by]
	if !ok {
		return &usageError{fmt.Sprintf("-lock is kernel or file, not %q", *by)}
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return fmt.Errorf("making the folder: %w", err)
	}
	release, err := take(filepath.Join(*dir, "lock"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	return serve(ctx, *listen, ordersHandler(), log)
}

// lockByKernel takes a lock that ends with the process.
func lockByKernel(path string) (release func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: another process has it: %w", path, err), f.Close())
	}
	return f.Close, nil
}

// lockByFile takes a lock that ends when somebody removes the file.
func lockByFile(path string) (release func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("locking: %s exists, so another process seems to run; remove the file if none does", path)
	}
	if err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	return func() error { return os.Remove(path) }, nil
}

// ordersHandler shows orders by their number.
func ordersHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /orders/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.PathValue("n"))
		if err != nil || n < 1 || n > firstOrders {
			fail(w, http.StatusNotFound, "no such order")
			return
		}
		answer(w, http.StatusOK, map[string]int{"number": n, "cents": 100 + n%900})
	})
	return mux
}

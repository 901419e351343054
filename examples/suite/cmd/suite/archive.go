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
	"sync"
	"time"
)

const (
	documentSize  = 32 << 10
	documentsKept = 100 // the oldest makes room for the next
	lookAtDisk    = 100 * time.Millisecond
	diskLow       = 0.10 // of the file system free: below it nothing is written any more
	diskEnough    = 0.15 // of it free: above it the archive is unlocked, if it is unlocked at all
)

// archive keeps documents in a folder. Before the disk is full to the last byte, and programs begin to fall over, it locks itself:
// what is there can still be read.
type archive struct {
	dir     string
	unlocks bool                    // by itself, when there is room again
	free    func() (float64, error) // share of the file system that is free
	log     io.Writer

	mu     sync.Mutex // guards what follows
	locked bool
	share  float64 // free, when last looked at
	newest int     // number of the newest document; 0 for none
}

// archiveRole serves documents that are kept on a small disk of its own.
func archiveRole(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("archive", flag.ContinueOnError)
	listen := flags.String("listen", ":9151", "address to serve on")
	dir := flags.String("dir", "/run/archive", "the folder with the documents")
	disk := flags.Int("disk", 0, "mounts a file system of so many MiB on the folder, in memory; 0 mounts none")
	unlock := flags.String("unlock", "itself", "who unlocks it when there is room again: itself, or operator")
	if err := parse(flags, args, log); err != nil {
		return err
	}
	if *unlock != "itself" && *unlock != "operator" || *disk < 0 {
		return &usageError{"-unlock is itself or operator, and -disk is not negative"}
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return fmt.Errorf("making the folder: %w", err)
	}
	if *disk > 0 {
		if err := mountMemory(*dir, *disk); err != nil {
			return err
		}
	}
	a := &archive{dir: *dir, unlocks: *unlock == "itself", free: func() (float64, error) { return freeShare(*dir) }, log: log}
	if err := a.look(); err != nil {
		return err
	}
	go func() {
		for wait(ctx, lookAtDisk) == nil {
			if err := a.look(); err != nil {
				fmt.Fprintln(log, err)
			}
		}
	}()
	return serve(ctx, *listen, a.routes(), log)
}

func (a *archive) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("POST /documents", a.keep)
	mux.HandleFunc("GET /documents/newest", a.read)
	mux.HandleFunc("GET /disk", func(w http.ResponseWriter, _ *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		answer(w, http.StatusOK, map[string]any{"free": a.share, "low": a.share < diskLow, "locked": a.locked})
	})
	mux.HandleFunc("POST /unlock", func(w http.ResponseWriter, _ *http.Request) {
		a.mu.Lock()
		a.locked = a.share < diskLow
		locked := a.locked
		a.mu.Unlock()
		answer(w, http.StatusOK, map[string]bool{"locked": locked})
	})
	return mux
}

// look asks how much room there is, and locks or unlocks the archive by it.
func (a *archive) look() error {
	share, err := a.free()
	if err != nil {
		return fmt.Errorf("looking at the disk: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.share = share
	switch {
	case share < diskLow && !a.locked:
		a.locked = true
		fmt.Fprintf(a.log, "%.1f %% of the disk are free: locked against writing\n", 100*share)
	case share > diskEnough && a.locked && a.unlocks:
		a.locked = false
		fmt.Fprintf(a.log, "%.1f %% of the disk are free: unlocked\n", 100*share)
	}
	return nil
}

// keep writes a document, unless the archive is locked, and takes the oldest away when there are enough.
func (a *archive) keep(w http.ResponseWriter, _ *http.Request) {
	err := a.look()
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil || a.locked {
		fail(w, http.StatusInsufficientStorage, "the archive is locked: the disk is full, or was")
		return
	}
	n := a.newest + 1
	if err := os.WriteFile(a.path(n), make([]byte, documentSize), 0o644); err != nil {
		fail(w, http.StatusInsufficientStorage, errors.Join(err, os.Remove(a.path(n))).Error())
		return
	}
	a.newest = n
	if err := os.Remove(a.path(n - documentsKept)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(a.log, "taking the oldest document away: %v\n", err)
	}
	answer(w, http.StatusCreated, map[string]int{"number": n})
}

// read shows the newest document's size, having read all of it.
func (a *archive) read(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	n := a.newest
	a.mu.Unlock()
	if n == 0 {
		fail(w, http.StatusNotFound, "there is no document yet")
		return
	}
	text, err := os.ReadFile(a.path(n))
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusOK, map[string]int{"number": n, "bytes": len(text)})
}

func (a *archive) path(n int) string { return filepath.Join(a.dir, "document-"+strconv.Itoa(n)) }

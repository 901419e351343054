package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	pgUser        = "shop"
	pgReadyWithin = time.Minute             // that others wait for it
	pgStopWithin  = 1500 * time.Millisecond // before it is killed
	pgFolders     = "/usr/lib/postgresql/*/bin"
)

// pgSchemas are what a new database has, a statement a line.
var pgSchemas = map[string][]string{
	"sales": {
		"create table orders (id int primary key, cents int not null)",
		"insert into orders select n, 100 + n % 900 from generate_series(1, 1000) n",
		"create table sales (id int primary key, day int not null, cents int not null)",
		"insert into sales select n, n % 30, 100 + n % 900 from generate_series(1, 6000) n",
		"create index on sales (day)",
		"analyze",
	},
	"notes": {
		"create table notes (id serial primary key, body text not null)",
		"create table heartbeat (at timestamptz not null)",
		"insert into heartbeat values (clock_timestamp())",
	},
}

// postgres is a PostgreSQL server that a world brings up: the real one, with settings for a server that is thrown away.
type postgres struct {
	bin  string // the folder of its programs
	data string
	port int
	log  io.Writer
}

// postgresRole makes a database and serves it, or the replica of one.
func postgresRole(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("postgres", flag.ContinueOnError)
	data := flags.String("data", "/run/postgres", "a folder for its data, which must not be there yet")
	port := flags.Int("port", 5432, "the TCP port that it listens on")
	schema := flags.String("schema", "", "what is in it: "+strings.Join(pgSchemaNames(), " or "))
	follow := flags.String("follow", "", "host:port of a primary, whose replica it is")
	if err := parse(flags, args, log); err != nil {
		return err
	}
	if (*schema == "") == (*follow == "") || *schema != "" && pgSchemas[*schema] == nil {
		return &usageError{"say either -schema " + strings.Join(pgSchemaNames(), " or ") + ", or -follow HOST:PORT"}
	}
	bin, err := pgPrograms(pgFolders)
	if err != nil {
		return err
	}
	p := &postgres{bin: bin, data: *data, port: *port, log: log}
	if *follow != "" {
		err = p.copyFrom(ctx, *follow)
	} else {
		err = p.create(ctx, pgSchemas[*schema])
	}
	if err != nil {
		return err
	}
	return p.serve(ctx)
}

func pgSchemaNames() []string {
	var names []string
	for n := range pgSchemas {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// pgPrograms returns the folder with the programs of the newest PostgreSQL.
func pgPrograms(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	version := func(dir string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return cmp.Compare(version(b), version(a)) })
	for _, dir := range found {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("there is no PostgreSQL in %s; install the package postgresql", pattern)
}

// command is one of its programs, run as somebody who is not root.
func (p *postgres) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, program), args...)
	cmd.Env = []string{"PATH=" + p.bin + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=/"}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.SysProcAttr = notRoot()
	return cmd
}

// settings are those of the server: little memory, and nothing on disk is worth waiting for.
func (p *postgres) settings() []string {
	all := []string{"port=" + strconv.Itoa(p.port), "listen_addresses=*", "unix_socket_directories=", "fsync=off", "full_page_writes=off",
		"shared_buffers=16MB", "dynamic_shared_memory_type=mmap", "max_connections=40", "max_wal_senders=4", "max_parallel_workers=0", "jit=off",
		"autovacuum=off", "max_wal_size=256MB", "log_checkpoints=off"}
	args := []string{"-D", p.data}
	for _, s := range all {
		args = append(args, "-c", s)
	}
	return args
}

// create makes a new database with a schema.
func (p *postgres) create(ctx context.Context, schema []string) error {
	initdb := p.command(ctx, "initdb", "-D", p.data, "-U", pgUser, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions",
		"--wal-segsize=4")
	if err := initdb.Run(); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("making the database: %w; PostgreSQL refuses to be root, and here it cannot be somebody else: allow user namespaces (sysctl user.max_user_namespaces)", err)
	} else if err != nil {
		return fmt.Errorf("making the database: %w", err)
	}
	hba, err := os.OpenFile(filepath.Join(p.data, "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("letting others in: %w", err)
	}
	_, err = fmt.Fprint(hba, "host all all all trust\nhost replication all all trust\n")
	if err := errors.Join(err, hba.Close()); err != nil {
		return fmt.Errorf("letting others in: %w", err)
	}
	single := p.command(ctx, "postgres", slices.Concat([]string{"--single"}, p.settings(), []string{"postgres"})...)
	single.Stdin = strings.NewReader(strings.Join(schema, "\n") + "\n")
	single.Stdout = nil // it repeats what it reads
	if err := single.Run(); err != nil {
		return fmt.Errorf("filling the database: %w", err)
	}
	return nil
}

// copyFrom makes the replica of a primary, as soon as that answers.
func (p *postgres) copyFrom(ctx context.Context, primary string) error {
	host, port, err := net.SplitHostPort(primary)
	if err != nil {
		return &usageError{fmt.Sprintf("-follow is HOST:PORT, not %q", primary)}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, pgReadyWithin, fmt.Errorf("not within %s", pgReadyWithin))
	defer cancel()
	for {
		backup := p.command(ctx, "pg_basebackup", "-h", host, "-p", port, "-U", pgUser, "-D", p.data, "-R", "-X", "stream", "-c", "fast", "--no-sync")
		if err = backup.Run(); err == nil {
			return nil
		}
		if err := os.RemoveAll(p.data); err != nil {
			return fmt.Errorf("copying the primary: %w", err)
		}
		if stop := wait(ctx, 200*time.Millisecond); stop != nil {
			return fmt.Errorf("copying the primary at %s: %w (%w)", primary, err, stop)
		}
	}
}

// serve runs the server until ctx ends, and then asks it to end at once.
func (p *postgres) serve(ctx context.Context) error {
	server := p.command(ctx, "postgres", p.settings()...)
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGINT) } // lets nobody finish
	server.WaitDelay = pgStopWithin
	if err := server.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

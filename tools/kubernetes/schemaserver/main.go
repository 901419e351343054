// Program schemaserver serves custom resources by the schemas of their definitions: the part of a Kubernetes API server that
// knows CustomResourceDefinitions, and nothing else of Kubernetes. Tests start it in a second or two where a whole cluster
// would take longer and the schemas are all that matters.
//
//	schemaserver -etcd http://127.0.0.1:2379 -dir DIR PATH...
//
// Each PATH is a YAML file with definitions, or a folder of such files. Once every definition is served, it prints one line
// of JSON with "server", a URL of 127.0.0.1, and "kubeconfig", the path of a file in DIR. It ends at the end of its standard
// input. There are no namespaces to make, no admission webhooks and no controllers; whoever has the token of the kubeconfig
// may do everything.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	etcd := flag.String("etcd", "", "URL of the etcd that keeps the objects")
	dir := flag.String("dir", "", "folder for the certificate and the kubeconfig")
	prefix := flag.String("prefix", "/registry/schemas", "beginning of the keys in etcd")
	flag.Parse()
	if *etcd == "" || *dir == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, ended := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		ended()
	}()
	err := run(ctx, *etcd, *prefix, *dir, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "schemaserver:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, etcd, prefix, dir string, paths []string) error {
	definitions, err := read(paths)
	if err != nil {
		return err
	}
	s, err := start(ctx, etcd, prefix, dir)
	if err != nil {
		return err
	}
	if err := install(ctx, s.loopback, definitions); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"server": s.url, "kubeconfig": s.kubeconfig}); err != nil {
		return err
	}
	return <-s.ended
}

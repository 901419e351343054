package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"gameday/loadgen/remote"
)

// generatorCmd sends traffic on behalf of a game day on another machine, which starts it by ssh.
func (a *app) generatorCmd() *cobra.Command {
	var runsScripts bool
	c := &cobra.Command{
		Use: "generator", Hidden: true, Args: cobra.NoArgs,
		Short: "Send traffic for a game day on another machine, over standard input and output",
		RunE: func(*cobra.Command, []string) error {
			if runsScripts {
				if err := scripts().Ready(context.Background()); err != nil {
					return usage("%w", err)
				}
				return nil
			}
			// A connection that is cut, or a session that ends, must leave the time to take away what the stream was read from.
			signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			return remote.Serve(ctx, versionText(), engine(), os.Stdin, os.Stdout)
		},
	}
	c.Flags().StringVar(&scripts().Program, "k6", "", "file of gameday-k6 (default: beside this program, or in $PATH)")
	c.Flags().BoolVar(&runsScripts, "runs-scripts", false, "only say whether k6 scripts could be run here")
	return c
}

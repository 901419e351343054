package main

import (
	"os"

	"github.com/spf13/cobra"

	"gameday/loadgen/remote"
)

// generatorCmd sends traffic on behalf of a game day on another machine, which starts it by ssh.
func (a *app) generatorCmd() *cobra.Command {
	return &cobra.Command{
		Use: "generator", Hidden: true, Args: cobra.NoArgs,
		Short: "Send traffic for a game day on another machine, over standard input and output",
		RunE: func(*cobra.Command, []string) error {
			return remote.Serve(versionText(), engine(), os.Stdin, os.Stdout)
		},
	}
}

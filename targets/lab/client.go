package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"gameday/targets/lab/power"
)

// Client is the conductor's hold on the lab it runs in. It may be used by many goroutines at once.
type Client struct {
	*power.Client
}

// Inside returns a client of the lab that this process is the conductor of; ok is false when it is none. It needs
// RunRole to have been called.
func Inside() (c *Client, ok bool) {
	if !conductor {
		return nil, false
	}
	// Lab init listens before it starts the conductor. Were that ever untrue, saying "not inside" here would make the
	// caller enter a lab again and again, so it shows at the first call instead.
	return &Client{Client: power.New(controlPath)}, true
}

// Dial returns a client of the lab whose control socket is at path, which must be in this process's mount namespace.
func Dial(path string) (*Client, error) {
	p, err := power.Dial(path)
	if err != nil {
		return nil, err
	}
	return &Client{Client: p}, nil
}

// StartOptions says where a lab's files are.
type StartOptions struct {
	Folder string // the scenario's: relative commands and working directories start here
	Logs   string // where log files go, made if missing: <node>-<process>.log, at most 10 MB each
}

// Start boots all nodes of the config, and returns when every process is ready or one failed to become so; the
// error then quotes the end of its log. A lab can be started once, and again after Stop. A lab whose start failed
// keeps what did start, for looking at, until Stop.
func (c *Client) Start(ctx context.Context, config Config, o StartOptions) error {
	folder, err := filepath.Abs(o.Folder)
	if err != nil {
		return fmt.Errorf("starting lab %s: finding the scenario's folder: %w", config.Name, err)
	}
	logs, err := filepath.Abs(o.Logs)
	if err != nil {
		return fmt.Errorf("starting lab %s: finding the folder for logs: %w", config.Name, err)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "/"
	}
	p, err := newPlan(config, folder, logs, os.Getenv("PATH"), home)
	if err != nil {
		return err
	}
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("starting lab %s: %w", config.Name, err)
	}
	_, err = c.Call(ctx, power.Request{Do: power.DoStart, Body: body})
	return err
}

// Stop ends all nodes: their processes get SIGTERM and two seconds, then the nodes lose power for good. The lab
// then has no nodes, and can be started again.
func (c *Client) Stop(ctx context.Context) error {
	_, err := c.Call(ctx, power.Request{Do: power.DoStop})
	return err
}

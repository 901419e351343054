package lab

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2/hclsimple"
	"pgregory.net/rapid"

	"gameday/faults"
)

// valid returns a config that Validate accepts, for tests to spoil.
func valid() Config {
	return Config{Name: "shop", Nodes: []NodeConfig{
		{Name: "storefront", Processes: []ProcessConfig{{Name: "web", Command: []string{"bin/shop"}}}},
		{Name: "ledger", Processes: []ProcessConfig{{Name: "db", Command: []string{"bin/db"}, Restart: "always",
			RestartDelay: "250ms", Listen: 5432, ReadyWithin: "20s", Env: map[string]string{"A": "b"}}}},
	}}
}

// fieldErrors returns "field: summary" of each field error in err, and fails on any other error.
func fieldErrors(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%v is not joined", err)
	}
	var out []string
	for _, e := range joined.Unwrap() {
		var f *faults.FieldError
		if !errors.As(e, &f) {
			t.Fatalf("%v is not a field error", e)
		}
		if !strings.HasSuffix(f.Detail, ".") && !strings.Contains(f.Summary, "duration") {
			t.Errorf("the detail %q is no whole sentence", f.Detail)
		}
		out = append(out, f.Field+": "+f.Summary)
	}
	return out
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*Config)
		want  []string
	}{
		{"valid", func(*Config) {}, nil},
		{"no nodes", func(c *Config) { c.Nodes = nil }, []string{"node: No nodes"}},
		{"too many", func(c *Config) { c.Nodes = slices.Repeat(c.Nodes[:1], 1001) }, []string{"node: Too many nodes"}},
		{"dotted name", func(c *Config) { c.Nodes[0].Name = "a.b" }, []string{"node.a.b: Invalid node name"}},
		{"upper case", func(c *Config) { c.Nodes[0].Name = "A" }, []string{"node.A: Invalid node name"}},
		{"hyphen last", func(c *Config) { c.Nodes[0].Name = "a-" }, []string{"node.a-: Invalid node name"}},
		{"reserved", func(c *Config) { c.Nodes[0].Name = "gameday" }, []string{"node.gameday: Reserved node name"}},
		{"twice", func(c *Config) { c.Nodes[0].Name = "ledger" }, []string{"node.ledger: Duplicate node"}},
		{"process name", func(c *Config) { c.Nodes[0].Processes[0].Name = "../x" },
			[]string{"node.storefront.process.../x: Invalid process name"}},
		{"process twice", func(c *Config) { c.Nodes[0].Processes = slices.Repeat(c.Nodes[0].Processes, 2) },
			[]string{"node.storefront.process.web: Duplicate process"}},
		{"same log", func(c *Config) {
			c.Nodes[0].Name, c.Nodes[0].Processes[0].Name = "a-b", "c"
			c.Nodes[1].Name, c.Nodes[1].Processes[0].Name = "a", "b-c"
		}, []string{"node.a.process.b-c: Log files collide"}},
		{"no command", func(c *Config) { c.Nodes[0].Processes[0].Command = nil },
			[]string{"node.storefront.process.web.command: Missing command"}},
		{"zero byte", func(c *Config) { c.Nodes[0].Processes[0].Command = []string{"a", "b\x00"} },
			[]string{"node.storefront.process.web.command: Invalid command"}},
		{"environment", func(c *Config) {
			c.Nodes[0].Processes[0].Env = map[string]string{"": "x", "A=B": "x", "GAMEDAY_NODE": "x", "OK": ""}
		}, []string{"node.storefront.process.web.env: Invalid environment variable",
			"node.storefront.process.web.env: Invalid environment variable",
			"node.storefront.process.web.env: Reserved environment variable"}},
		{"everything of a process", func(c *Config) {
			c.Nodes[1].Processes[0] = ProcessConfig{Name: "db", Command: []string{"x"}, Restart: "sometimes",
				RestartDelay: "-1s", ReadyWithin: "soon"}
		}, []string{"node.ledger.process.db.restart: Invalid restart policy",
			"node.ledger.process.db.restart_delay: Invalid duration",
			"node.ledger.process.db.ready_within: Invalid duration",
			"node.ledger.process.db.ready_within: Nothing to wait for"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := valid()
			test.spoil(&c)
			got := fieldErrors(t, c.Validate())
			if test.name == "too many" {
				got = got[:1] // the others are that the nodes are the same
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestConfigFromHCL(t *testing.T) {
	const text = `
lab "shop" {
  node "storefront" {
    process "web" {
      command = ["bin/shop"]
    }
  }
  node "ledger" {
    process "db" {
      command       = ["bin/db"]
      restart       = "always"
      restart_delay = "250ms"
      listen        = 5432
      ready_within  = "20s"
      env           = { A = "b" }
    }
  }
}`
	var got struct {
		Lab Config `hcl:"lab,block"`
	}
	if err := hclsimple.Decode("x.hcl", []byte(text), nil, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(valid(), got.Lab); diff != "" {
		t.Error(diff)
	}
}

// TestValidNamesAreSafe says why names are checked: they become file names and lines of a hosts file.
func TestValidNamesAreSafe(t *testing.T) {
	names := rapid.OneOf(rapid.StringMatching("[a-z0-9]{1,3}"), rapid.StringMatching("[a-z0-9]{58,66}"),
		rapid.StringMatching("[a-z0-9][./ \n_-]?[a-z0-9\n]?"), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		c := valid()
		c.Nodes[0].Name = names.Draw(t, "node")
		c.Nodes[0].Processes[0].Name = names.Draw(t, "process")
		if c.Validate() != nil {
			t.Skip("refused")
		}
		log := logName(c.Nodes[0].Name, c.Nodes[0].Processes[0].Name)
		if strings.ContainsAny(log, "/\x00 \n") || len(log) > 255 {
			t.Fatalf("the log would be %q", log)
		}
	})
}

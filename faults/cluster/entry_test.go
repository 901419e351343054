package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/cluster"
)

// TestRevertMain: a revert always has a limit, its own or half a minute, and an entry that cannot be reverted says why.
func TestRevertMain(t *testing.T) {
	kinds := []faults.Kind{{Name: "toy", RevertInCluster: func(ctx context.Context, _ faults.Entry) error {
		end, limited := ctx.Deadline()
		if !limited {
			return fmt.Errorf("no limit")
		}
		faults.Note(ctx, "within "+time.Until(end).Round(time.Second).String())
		return nil
	}}, {Name: "elsewhere"}}
	for _, k := range []struct {
		name, args, entry string
		code              int
		want              string
	}{
		{"no limit is given", "", `{"kind": "toy", "place": {"cluster": {}}}`, 0, `"note":"within 30s"`},
		{"a limit", "--within=7s", `{"kind": "toy", "place": {"cluster": {}}}`, 0, `"note":"within 7s"`},
		{"not in a cluster", "", `{"kind": "toy", "place": {"name": "web"}}`, 1, "web is in no cluster"},
		{"a kind of machines", "", `{"kind": "elsewhere", "place": {"cluster": {}}}`, 1, "cannot revert elsewhere"},
		{"an unknown kind", "", `{"kind": "more", "place": {"cluster": {}}}`, 1, `has no fault kind \"more\"`},
		{"no entry", "", `?`, 1, "reading the entry"},
		{"no such flag", "--for=7s", "", 2, ""},
	} {
		var out, errw bytes.Buffer
		code := cluster.RevertMain(kinds, strings.Fields(k.args), strings.NewReader(k.entry), &out, &errw)
		if code != k.code || !strings.Contains(out.String(), k.want) {
			t.Errorf("%s: exit code %d, %s%s", k.name, code, out.String(), errw.String())
		}
	}
}

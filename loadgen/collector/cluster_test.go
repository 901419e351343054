package collector

import (
	"cmp"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gameday/faults"
	"gameday/loadgen"
)

// TestClusterProgram checks what is made of the news of the program that speaks to clusters, also when it ends without any.
func TestClusterProgram(t *testing.T) {
	const made = `echo '{"made":["job load/a-1"]}'; `
	for _, c := range []struct {
		name, program, err string
		said               []string
		lost               string
		kind               string // of runners; Jobs when it is empty
	}{
		{"all is well", made + `cat >/dev/null; echo '{"gone":true}'`, "", []string{"info: 1 Jobs in namespace load: made job load/a-1"}, "", ""},
		{"a runner is lost", made + `echo '{"lost":{"runner":0,"why":"its pod a-1 ended: OOMKilled"}}'; echo '{"said":{"level":"loud","text":"look\u0007"}}'; ` +
			`printf '%s\n' '{"log":{"runner":0,"text":"hello\n"}}'; echo '{"log":{"runner":7,"text":"nobody\n"}}'; cat >/dev/null; echo '{"gone":true}'`, "",
			[]string{"made job", "warning: look"}, "its pod a-1 ended: OOMKilled", ""},
		{"not allowed", `echo '{"error":"not allowed"}'; echo '{"gone":true}'`, "not allowed", nil, "", ""},
		{"something stays", made + `cat >/dev/null; echo '{"left":["job load/a-1"]}'`, "", []string{"made", "warning: not everything that was made for the runners is gone: job load/a-1; what is left lapses in 1h0m0s at the latest, " +
			"and `gameday revert --kubernetes --kubeconfig /etc/kube --context stage --run today-1` deletes it now"}, "", ""},
		{"a TestRun stays", made + `cat >/dev/null; echo '{"left":["testrun load/a"]}'`, "", []string{"made", "is gone: testrun load/a; the k6 operator deletes what is left if it had " +
			"started the runners, and `gameday revert --kubernetes --kubeconfig /etc/kube --context stage --run today-1` deletes it now"}, "", loadgen.K6Operator},
		{"killed", made + `kill -9 $$`, "", []string{"made", "ended before it had cleaned up: what is left lapses in 1h0m0s at the latest, and `gameday revert --kubernetes --kubeconfig /etc/kube --context stage --run today-1`"}, "", ""},
		{"without a word", `exit 3`, "it ended without a word", []string{"ended before it had cleaned up"}, "", ""},
		{"nonsense", `echo hello; echo '{"said":'; ` + made + `cat >/dev/null; echo '{"gone":true}'`, "", []string{"made"}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var mu sync.Mutex
			var said []string
			lost := ""
			o := Order{Run: "today-1", Access: faults.Access{Kubeconfig: "/etc/kube", Context: "stage"}, RunOn: loadgen.RunOn{Kind: cmp.Or(c.kind, loadgen.Jobs), Parallelism: 1, Namespace: "load"}, Token: "secret-token", Lasts: time.Hour, Dir: t.TempDir()}
			file := filepath.Join(t.TempDir(), "order")
			starter := Cluster{Command: func() (*exec.Cmd, error) {
				return exec.Command("sh", "-c", `read -r line; echo "$line" > "$0"; `+c.program, file), nil
			}}
			stop, err := starter.Start(t.Context(), o, func(_ int, why error) {
				mu.Lock()
				defer mu.Unlock()
				lost = why.Error()
			}, func(level, text string) {
				mu.Lock()
				defer mu.Unlock()
				said = append(said, level+": "+text)
			})
			if (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
				t.Fatalf("error %v, want %s", err, c.err)
			}
			if err == nil {
				err = stop()
				if again := stop(); !errors.Is(again, err) { // does nothing more
					t.Errorf("the second time it is %v", again)
				}
			}
			left := slices.Contains([]string{"something stays", "a TestRun stays", "killed", "without a word"}, c.name)
			if errors.Is(err, ErrLeft) != left {
				t.Errorf("error %v, and something may be left: %v", err, left)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(said) != len(c.said) || lost != c.lost {
				t.Fatalf("it says %q, and lost is %q", said, lost)
			}
			for i, want := range c.said {
				if !strings.Contains(said[i], want) || strings.Contains(said[i], "\a") || strings.Contains(said[i], o.Token) {
					t.Errorf("it says %q, want %q", said[i], want)
				}
			}
			if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), `"token":"secret-token"`) {
				t.Errorf("the order is %s, %v", text, err)
			}
			if text, _ := os.ReadFile(filepath.Join(o.Dir, "runner-1.log")); (c.lost != "") != (string(text) == "hello\n") {
				t.Errorf("the log is %q", text)
			}
		})
	}
}

package k6

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"gameday/loadgen"
)

// TestPackedScriptReadsNoFiles has a script read files of the machine that it runs on, as one would that was after the key by which a runner is
// known: what was packed with it is all that there is, and the environment is what it was given. The runner's own environment is a file, too, in /proc.
func TestPackedScriptReadsNoFiles(t *testing.T) {
	t.Setenv("GAMEDAY_RUNNER_TOKEN", "the-key") // no child has it
	key := filepath.Join(t.TempDir(), "key")
	var mu sync.Mutex
	asked := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked[q.URL.Path]++
	}))
	defer server.Close()
	script := write(t, "s.js", fmt.Sprintf(`
import http from 'k6/http';
import * as fs from 'k6/experimental/fs';
const own = open('./own.txt');
let found = '';
for (const path of [%q, 'file://' + %[1]q]) {
  try { open(path); found += '/open' + path; } catch (e) {}
}
let file = null;
(async () => { try { file = await fs.open(%[1]q); found += '/fs'; } catch (e) {} })();
export default function () {
  for (const name in __ENV) { if (name !== 'TARGET' && name !== 'K6_SCENARIO') { found += '/env-' + name; } }
  http.get(__ENV.TARGET + '/' + own + found);
  found = '';
}`, key), "own.txt", "own")
	packed, err := engine().Pack(t.Context(), loadgen.Spec{Stream: "s", Script: script, Rate: 10, Dir: t.TempDir(), Env: map[string]string{"TARGET": server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, []byte("the-key"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := begin(t, script, func(spec *loadgen.Spec) { spec.Files, spec.Rate, spec.Env = packed.Files, 10, packed.Env })
	s.next(2)
	if _, err := s.stop(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 1 || asked["/own"] == 0 {
		t.Errorf("the script asked for %v", asked)
	}
}

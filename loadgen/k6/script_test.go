package k6

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/loadgen"
	"gameday/sizes"
)

// Everything scripts do beside requests: modules, files, set-up data, environment, checks, groups, custom metrics,
// thresholds that do not hold, shared arrays, tags, TypeScript.
func TestScriptFeatures(t *testing.T) {
	t.Parallel()
	server := newTarget(t)
	script := write(t, "s.ts", `
import http from 'k6/http';
import exec from 'k6/execution';
import { check, group } from 'k6';
import { Counter } from 'k6/metrics';
import { SharedArray } from 'k6/data';
import { path } from './lib/paths.js';
export const options = {
  thresholds: { http_req_duration: ['p(95)<0.0001'], checks: ['rate>0.99'] },
  tags: { team: 'checkout' },
  scenarios: {
    browse: { executor: 'constant-arrival-rate', rate: 180, timeUnit: '1m', duration: '1s', preAllocatedVUs: 1,
      exec: 'browse', env: { KIND: 'browser' }, tags: { kind: 'b' } },
    buy: { executor: 'ramping-arrival-rate', startRate: 1, stages: [{ target: 1, duration: '1s' }], preAllocatedVUs: 1,
      startTime: '10m', exec: 'buy' },
  },
};
const names: string[] = new SharedArray('names', () => JSON.parse(open('./names.json')));
const made = new Counter('made');
export function setup() { http.get(__ENV.TARGET + '/setup'); return { token: 'abc' }; }
export function browse(data: { token: string }) {
  group('a', () => {
    const r = http.get(__ENV.TARGET + path(names[0]), { tags: { mine: '1' } });
    made.add(1);
    check(r, {
      'body': (r) => r.body === '/x/ann',
      'data': () => data.token === 'abc',
      'env': () => __ENV.KIND === 'browser' && __ENV.PATH === undefined,
      'tags': () => exec.vu.metrics.tags.kind === 'b' && exec.vu.metrics.tags.team === 'checkout',
      'never': () => false,
    });
  });
}
export function buy() { check(1, { 'env': () => __ENV.KIND === undefined }); http.post(__ENV.TARGET + '/buy'); }
`, "lib/paths.js", `export const path = (name) => '/x/' + name;`, "names.json", `["ann"]`)
	s := begin(t, script, func(spec *loadgen.Spec) {
		withTarget(server)(spec)
		spec.Rate = 40
	})
	s.next(3)
	sum, err := s.stop()
	if err != nil {
		t.Fatal(err)
	}
	if sum.Failed.Count != 0 || sum.Thrown != 0 {
		t.Errorf("%d failed, %d thrown: %q", sum.Failed.Count, sum.Thrown, s.said())
	}
	if hits := uint64(server.hits.Load()); hits != sum.OK.Count+1 {
		t.Errorf("%d requests counted of %d with the set-up's", sum.OK.Count, hits)
	}
	// Three of four iterations browse: one check of five fails there, none of one in the others.
	within(t, "failed checks", float64(sum.ChecksFailed), 80, 120)
	if sum.ChecksPassed != 4*sum.ChecksFailed+(sum.Completed-sum.ChecksFailed) {
		t.Errorf("%d checks passed and %d failed in %d iterations", sum.ChecksPassed, sum.ChecksFailed, sum.Completed)
	}
	within(t, "share of browse", float64(sum.ChecksFailed)/float64(sum.Completed), 0.72, 0.78)
}

func TestScriptThatThrows(t *testing.T) {
	t.Parallel()
	server := newTarget(t)
	script := write(t, "s.js", `
import http from 'k6/http';
export default function () {
  if (__ENV.FAIL) { http.get('http://127.0.0.1:1/'); }
  const user = undefined;
  user.name;
}
`)
	for _, fail := range []string{"", "yes"} {
		s := begin(t, script, func(spec *loadgen.Spec) {
			spec.Env = map[string]string{"TARGET": server.URL, "FAIL": fail}
		})
		s.next(2)
		sum, err := s.stop()
		if err != nil {
			t.Fatal(err)
		}
		if sum.Thrown == 0 || sum.Thrown != sum.Completed || sum.Failed.Count != sum.Thrown || sum.OK.Count != 0 {
			t.Errorf("%d thrown of %d, %d failed, %d not", sum.Thrown, sum.Completed, sum.Failed.Count, sum.OK.Count)
		}
		logs := s.said()
		i := slices.IndexFunc(logs, func(l string) bool { return strings.Contains(l, "TypeError") })
		if i < 0 || !strings.Contains(logs[i], script+":6") || len(logs) > 2 {
			t.Errorf("the log says %q; want the exception once, at %s:6", logs, script)
		}
	}
}

// Under its own executors a script's exceptions are known from the log alone; they count all the same.
func TestKeptScriptThatThrows(t *testing.T) {
	t.Parallel()
	server := newTarget(t)
	for name, test := range map[string]struct {
		script       string
		good, failed uint64
	}{
		"no request":      {`undefined.name;`, 0, 7},
		"good request":    {`http.get(__ENV.TARGET + '/'); throw new Error('empty');`, 7, 7},
		"failed request":  {`http.get('http://127.0.0.1:1/').json();`, 0, 7},
		"not every time":  {`if (__ITER > 2) { throw new Error('tired'); }`, 3, 4},
		"a promise of it": {`return Promise.reject(new Error('broken'));`, 0, 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := "import http from 'k6/http';\nexport const options = { vus: 1, iterations: 7 };\n" +
				"export default function () { " + test.script + " }\n"
			s := begin(t, write(t, "s.js", script), func(spec *loadgen.Spec) {
				withTarget(server)(spec)
				spec.Rate, spec.KeepExecutors, spec.Factor = 0, true, 1
			})
			sum, err := s.wait()
			if !errors.Is(err, loadgen.ErrEnded) {
				t.Fatal(err)
			}
			if sum.OK.Count != test.good || sum.Failed.Count != test.failed || sum.Completed != 7 {
				t.Errorf("of %d iterations come %d good and %d failed, want %d and %d: %q",
					sum.Completed, sum.OK.Count, sum.Failed.Count, test.good, test.failed, s.said())
			}
		})
	}
}

func TestIterationsStandForRequests(t *testing.T) {
	t.Parallel()
	s := begin(t, write(t, "s.js", `export default function () {}`), nil)
	s.next(1)
	sum, err := s.stop()
	if err != nil {
		t.Fatal(err)
	}
	if sum.OK.Count == 0 || sum.OK.Count != sum.Completed {
		t.Errorf("%d requests for %d iterations without one", sum.OK.Count, sum.Completed)
	}
}

func TestAbortByTheScript(t *testing.T) {
	t.Parallel()
	s := begin(t, write(t, "s.js", `
import exec from 'k6/execution';
export default function () { exec.test.abort('sold out'); }
`), nil)
	_, err := s.wait()
	if !errors.Is(err, loadgen.ErrEnded) || !strings.Contains(err.Error(), "sold out") {
		t.Errorf("the error is %v", err)
	}
}

// A script that marks the test as failed goes on, and its mark is said and not judged.
func TestFailedByTheScript(t *testing.T) {
	t.Parallel()
	s := begin(t, write(t, "s.js", `
import exec from 'k6/execution';
export default function () { exec.test.fail('sold out'); }
`), nil)
	s.next(2)
	if _, err := s.stop(); err != nil {
		t.Errorf("the error is %v", err)
	}
	if logs := strings.Join(s.said(), "\n"); !strings.Contains(logs, "exec.test.fail") {
		t.Errorf("the log says %q", logs)
	}
}

func TestErrorsSpeakOfTheScript(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, script string
		want         []string
	}{
		{"syntax", "export default function () {\n  let = ;\n}", []string{"s.js", "Line 2:9 Unexpected token"}},
		{"top level", "throw new Error('no config');\nexport default function () {}", []string{"no config", "s.js:1"}},
		{"setup", "export function setup() { throw new Error('no users'); }\nexport default function () {}",
			[]string{"no users", "s.js:1"}},
		{"no function", "export const x = 1;", []string{"s.js", "export"}},
		{"unknown module", "import x from 'k6/x/nothing';\nexport default function () {}", []string{"k6/x/nothing"}},
		{"setup that hangs", "export function setup() { while (true) {} }\nexport default function () {}",
			[]string{"setup", "3 s"}},
		{"setup that hangs for the time it gave itself",
			"export const options = { setupTimeout: '2s' };\nexport function setup() { while (true) {} }\nexport default function () {}",
			[]string{"setup", "2 s"}},
		{"module that is elsewhere", "import x from 'https://127.0.0.1:1/lib.js';\nexport default function () {}",
			[]string{"https://127.0.0.1:1/lib.js", "connection refused", "Keep a copy beside the script"}},
		{"secret that nobody gave", "import s from 'k6/secrets';\nexport async function setup() { await s.get('TOKEN'); }\nexport default function () {}",
			[]string{"TOKEN", `env = { TOKEN = secret("TOKEN") }`}},
		{"top level that hangs", "while (true) {}\nexport default function () {}", []string{"top level", "3s"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := begin(t, write(t, "s.js", test.script), func(spec *loadgen.Spec) {
				if strings.HasSuffix(test.name, "hangs") {
					spec.SetupWithin = 3 * time.Second
				}
			})
			_, err := s.wait()
			if err == nil || errors.Is(err, loadgen.ErrEnded) {
				t.Fatalf("the error is %v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
		})
	}
}

func TestKeepsExecutors(t *testing.T) {
	t.Parallel()
	server := newTarget(t)
	s := begin(t, write(t, "s.js", `
import http from 'k6/http';
export const options = { scenarios: {
  steady: { executor: 'constant-arrival-rate', rate: 20, duration: '2s', preAllocatedVUs: 5 },
  once: { executor: 'shared-iterations', vus: 1, iterations: 4, exec: 'once' },
} };
export default function () { http.get(__ENV.TARGET + '/'); }
export function once() { http.get(__ENV.TARGET + '/'); }
`), func(spec *loadgen.Spec) {
		withTarget(server)(spec)
		spec.Rate, spec.KeepExecutors, spec.Factor = 0, true, 3
	})
	sum, err := s.wait()
	if !errors.Is(err, loadgen.ErrEnded) {
		t.Fatalf("the script ended by itself, and the error is %v", err)
	}
	within(t, "iterations of 2 s at 3 times 20/s and 3 times 4", float64(sum.Due), 129, 134)
	if sum.OK.Count != sum.Completed || int64(sum.OK.Count) != server.hits.Load() {
		t.Errorf("%d requests, %d iterations, %d seen", sum.OK.Count, sum.Completed, server.hits.Load())
	}
	balanced(t, sum)
}

func TestKeptExecutorsCanBeStopped(t *testing.T) {
	t.Parallel()
	s := begin(t, write(t, "s.js", `
import { sleep } from 'k6';
export const options = { vus: 2, duration: '10m' };
export default function () { sleep(600); }
`), func(spec *loadgen.Spec) { spec.KeepExecutors, spec.Factor = true, 2 })
	s.next(1)
	sum, err := s.stop()
	if err != nil {
		t.Fatal(err)
	}
	if sum.Interrupted != 4 {
		t.Errorf("%d interrupted, want 2 virtual users times 2", sum.Interrupted)
	}
}

func TestContextEndsTheChild(t *testing.T) {
	t.Parallel()
	server := newTarget(t)
	s := begin(t, write(t, "s.js", plain), withTarget(server))
	s.next(1)
	s.cancel()
	if _, err := s.wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

// A script that takes memory without end ends alone, soon, and says so: wherever it does it.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	const bound = 150e6
	for name, script := range map[string]string{
		"in an iteration":  `const kept = []; export default function () { for (;;) { kept.push('x'.repeat(100000) + kept.length); } }`,
		"little by little": `const kept = []; export default function () { kept.push(new Uint8Array(4000000).fill(1)); }`,
		"in setup":         `export function setup() { for (const kept = [];;) { kept.push({ n: kept.length }); } } export default function () {}`,
		"at the top":       `const kept = []; for (;;) { kept.push([kept.length]); } export default function () {}`,
		"in one go":        `export default function () { 'x'.repeat(1 << 29); }`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := ""
			s := begin(t, write(t, "s.js", script), func(spec *loadgen.Spec) {
				spec.Memory, dir = bound, spec.Dir
			})
			_, err := s.wait()
			if err == nil {
				t.Fatal("it went well")
			}
			took := regexp.MustCompile(`it took (\d.*) of memory, and may have 150 MB`).FindStringSubmatch(err.Error())
			if took == nil || !strings.Contains(err.Error(), "k6.log") {
				t.Fatalf("the error is %v", err)
			}
			n, err := sizes.Parse(strings.ReplaceAll(took[1], "kB", "KB"))
			if err != nil || n < bound || n > 1e9 {
				t.Errorf("it took %s: %v", took[1], err)
			}
			gone(t, dir, 5*time.Second)
		})
	}
}

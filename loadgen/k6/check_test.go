package k6

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/loadgen"
)

func TestCheck(t *testing.T) {
	good := `import http from 'k6/http';
import x from 'https://example.invalid/x.js';
import { y } from './lib/y.js';
export default async function () { http.get(await y); }
`
	for _, test := range []struct {
		name  string
		files []string
		want  []loadgen.Problem // File is relative to the script's folder
	}{
		{"sound", []string{"s.js", good, "lib/y.js", "export const y = 1;"}, nil},
		{"typescript", []string{"s.ts", "export default function (n: number): void {}"}, nil},
		{"syntax", []string{"s.js", "export default function () {\n  let x = ;\n}\n"}, []loadgen.Problem{{
			File: "s.js", Line: 2, Column: 11, Summary: "Mistake in a script", Detail: `Unexpected ";".`,
			Source: "  let x = ;"}}},
		{"syntax in a module", []string{"s.js", good, "lib/y.js", "export const y = (1;"}, []loadgen.Problem{{
			File: "lib/y.js", Line: 1, Column: 20, Summary: "Mistake in a script", Detail: `Expected ")" but found ";".`,
			Source: "export const y = (1;"}}},
		{"no such module", []string{"s.js", "import './gone.js';"}, []loadgen.Problem{{
			File: "s.js", Line: 1, Column: 8, Summary: "Mistake in a script", Source: "import './gone.js';",
			Detail: "There is no file DIR/gone.js; k6 wants the whole name, with its extension."}}},
		{"no extension", []string{"s.js", "import './a';", "a.js", ""}, []loadgen.Problem{{
			File: "s.js", Line: 1, Column: 8, Summary: "Mistake in a script", Source: "import './a';",
			Detail: "There is no file DIR/a; k6 wants the whole name, with its extension."}}},
		{"package", []string{"s.js", "import _ from 'lodash';"}, []loadgen.Problem{{
			File: "s.js", Line: 1, Column: 15, Summary: "Mistake in a script", Source: "import _ from 'lodash';",
			Detail: `K6 cannot import "lodash": write ./lodash for a file beside the script, or an https:// address.`}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			script := write(t, test.files...)
			dir := filepath.Dir(script)
			for i := range test.want {
				test.want[i].File = filepath.Join(dir, test.want[i].File)
				test.want[i].Detail = strings.ReplaceAll(test.want[i].Detail, "DIR", dir)
			}
			got := (&Engine{}).Check(t.Context(), loadgen.Spec{Script: script})
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
			files, _ := filepath.Glob(filepath.Join(dir, "*"))
			if len(files) > 2 {
				t.Errorf("the check left files: %v", files)
			}
		})
	}
}

func TestCheckRemembersUntilAFileChanges(t *testing.T) {
	e := &Engine{}
	script := write(t, "s.js", "import './a.js';", "a.js", "export const a = 1;")
	module := filepath.Join(filepath.Dir(script), "a.js")
	problems := func() int { return len(e.Check(t.Context(), loadgen.Spec{Script: script})) }
	if n := problems(); n != 0 {
		t.Fatalf("%d problems", n)
	}
	began := time.Now()
	for range 1000 {
		problems()
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("a thousand checks of the same script took %s", took)
	}
	if err := os.WriteFile(module, []byte("export const a = ;"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := problems(); n != 1 {
		t.Errorf("%d problems after the module broke", n)
	}
	if err := os.Remove(module); err != nil {
		t.Fatal(err)
	}
	if n := problems(); n != 1 {
		t.Errorf("%d problems after the module went", n)
	}
	if err := os.Remove(script); err != nil {
		t.Fatal(err)
	}
	if p := e.Check(t.Context(), loadgen.Spec{Script: script}); len(p) != 1 || p[0].Summary != "No such script" {
		t.Errorf("a script that is gone: %+v", p)
	}
}

package k6

import "testing"

func TestLastError(t *testing.T) {
	for _, test := range []struct{ tail, want string }{
		{`cut off"}` + "\n" + `{"level":"error","msg":"a"}` + "\n" +
			`{"level":"error","msg":"b","error":"c"}` + "\n" + `{"level":"info","msg":"d"}`, "b: c"},
		{"fatal error: out of memory\n\ngoroutine 1 [running]:\n", "fatal error: out of memory"},
		{"hello\n", ""},
	} {
		if got := lastError(test.tail); got != test.want {
			t.Errorf("%q: %q, want %q", test.tail, got, test.want)
		}
	}
}

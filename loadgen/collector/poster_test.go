package collector

import (
	"encoding/json"
	"io"
	"testing"
	"testing/synctest"
)

// TestPoster has more to tell than is taken: what is taken then is the newest of each runner, and nobody waits meanwhile.
func TestPoster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, out := io.Pipe()
		over := make(chan struct{})
		p := newPoster(out, over)
		p.post(0, "first")
		synctest.Wait() // it is being written, and nobody reads
		for _, text := range []string{"a", "b", "c"} {
			p.post(0, text)
			p.post(1, text+"'")
		}
		words := json.NewDecoder(in)
		got := map[int][]string{}
		for range 3 {
			var w Word
			if err := words.Decode(&w); err != nil {
				t.Fatal(err)
			}
			got[w.Runner] = append(got[w.Runner], w.Orders)
		}
		if len(got[0]) != 2 || got[0][0] != "first" || got[0][1] != "c" || len(got[1]) != 1 || got[1][0] != "c'" {
			t.Errorf("they are told %v", got)
		}
		close(over)
	})
}

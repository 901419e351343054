package child

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"time"

	"gameday/loadgen"
	"gameday/sizes"
)

// memoryVariable tells a child how many bytes it may hold.
const memoryVariable = "GAMEDAY_GENERATOR_MEMORY"

const (
	// softShare of the bound is where the collector begins to work harder, instead of letting the heap grow.
	softShare = 0.85
	// Memory is looked at so often, and much more often once half of the bound is taken.
	watchIdle, watchBusy = 100 * time.Millisecond, 10 * time.Millisecond
	// lastWordWithin is how long a child that is at its bound may take to say so.
	lastWordWithin = time.Second
)

// Bound returns how many bytes the generator of a stream may hold: what the spec says, or its part of half of what there is;
// 0 when nobody knows.
func Bound(spec loadgen.Spec) uint64 {
	if spec.Memory > 0 {
		return spec.Memory
	}
	return min(machineMemory(), groupMemory(ownGroups, groupRoot)) / 2 / uint64(max(1, spec.Sharing))
}

// groupMemory returns the lowest limit of this process's control group and those above it, which in a container is the
// container's: the kernel would end what is in it, and there may be more in it than a generator.
func groupMemory(own, root string) uint64 {
	least := uint64(sizes.Max)
	groups(own, root, "memory", func(dir string, version int) {
		file := "memory.max"
		if version == 1 {
			file = "memory.limit_in_bytes"
		}
		if n, ok := number(filepath.Join(dir, file)); ok {
			least = min(least, n)
		}
	})
	return least
}

// guardMemory ends this process when it holds more than it was allowed to, with a last word. It works without privileges, and
// beside it the kernel is told to take this process first, should memory run out all the same.
func guardMemory(v *Voice) {
	offerToKernel()
	bound, err := strconv.ParseUint(os.Getenv(memoryVariable), 10, 63)
	if err != nil || bound == 0 {
		return
	}
	debug.SetMemoryLimit(int64(softShare * float64(bound)))
	go func() {
		for {
			held := heldMemory()
			if held > bound {
				v.lastWord(tooMuch(held, bound))
			}
			wait := watchIdle
			if held > bound/2 {
				wait = watchBusy
			}
			time.Sleep(wait)
		}
	}()
}

func tooMuch(held, bound uint64) string {
	return fmt.Sprintf("it took %s of memory, and may have %s: see what its iterations keep, lower max_vus, or allow more with memory = \"…\" in the traffic block",
		sizes.Show(held), sizes.Show(bound))
}

// lastWord says what this process ends of, also in its log, and ends it.
func (v *Voice) lastWord(text string) {
	fmt.Fprintln(os.Stderr, wordPrefix+text)
	time.AfterFunc(lastWordWithin, func() { os.Exit(1) })
	v.Send(Event{End: &Ending{Reason: EndFailed, Error: text}})
	os.Exit(1)
}

// goMemory returns what the Go runtime holds, where the kernel cannot be asked.
func goMemory() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 || s[1].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

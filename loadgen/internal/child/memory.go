package child

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
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
	return min(machineMemory(), groupMemory("/proc/self/cgroup", "/sys/fs/cgroup")) / 2 / uint64(max(1, spec.Sharing))
}

// groupMemory returns the lowest limit of this process's control group and those above it, which in a container is the
// container's: the kernel would end what is in it, and there may be more in it than a generator.
func groupMemory(own, root string) uint64 {
	text, err := os.ReadFile(own)
	if err != nil {
		return sizes.Max
	}
	least := uint64(sizes.Max)
	for line := range strings.Lines(string(text)) { // "4:memory:/system.slice", or "0::/system.slice" for version 2
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		top, file := root, "memory.max"
		switch parts[1] {
		case "":
		case "memory":
			top, file = filepath.Join(root, "memory"), "memory.limit_in_bytes"
		default:
			continue
		}
		for dir := filepath.Join("/", parts[2]); ; dir = filepath.Dir(dir) {
			if b, err := os.ReadFile(filepath.Join(top, dir, file)); err == nil {
				if n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err == nil { // not "max"
					least = min(least, n)
				}
			}
			if dir == "/" {
				break
			}
		}
	}
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

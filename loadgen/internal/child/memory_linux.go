package child

import (
	"os"

	"golang.org/x/sys/unix"
)

// machineMemory returns how much memory the machine has.
func machineMemory() uint64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return info.Totalram * uint64(info.Unit)
}

// heldMemory returns what this process holds of its own: resident, without what is shared with others, as the program is.
func heldMemory() uint64 {
	resident, shared := statm()
	if resident == 0 {
		return goMemory()
	}
	return resident - min(shared, resident)
}

// offerToKernel makes this process the one that the kernel ends first when memory runs out. That much is allowed to all.
func offerToKernel() { _ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0o644) }

//go:build !linux

package child

// machineMemory is known on Linux only; elsewhere only a bound that is given holds.
func machineMemory() uint64 { return 0 }

func heldMemory() uint64 { return goMemory() }

func offerToKernel() {}

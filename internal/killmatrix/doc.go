// Package killmatrix proves that a fault cannot outlive the game day. For every kind of fault it stops a real guard at
// every checkpoint of an injection, does one bad thing there (kills the conductor, the guard, both, all that belongs to
// them or the target, hangs the conductor, fills the ledger's disk or makes it read-only), and looks at what the kernel
// has then: not what our ledger says. After each cell nothing of ours may be left, and all that was there before must
// be as it was.
//
//	test ──one Cell a line──▶ worker, in namespaces of its own ──▶ a World of the kind's fixture
//	     ◀─one Result a line─     │ starts a conductor, which starts a guard, which stops at each checkpoint
//	                              └ strikes, releases the guard, looks at the kernel until all is as it was
//
// The files that are not tests hold the axes, the words for what became of a cell, and the page that is made of them:
// docs/kill-matrix.md.
package killmatrix

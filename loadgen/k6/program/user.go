package program

import (
	"slices"
	"sync"
	"time"

	"go.k6.io/k6/v2/metrics"
)

// manyIterations is how many iterations of a virtual user may be kept before the output is told to look at them. A user
// that makes requests in each of them keeps two or three.
const manyIterations = 64

// user is a virtual user: the iterations that it has begun and whose samples may still come, oldest first. The executor
// adds them, the output takes them off.
//
// Samples say when they were made and by whom, and a user runs one iteration after the other: so the time tells which
// iteration a sample belongs to. No tag needs to be set, and nothing needs to be sent when an iteration begins.
type user struct {
	mu         sync.Mutex
	iterations []*iteration
	now        *iteration // under k6's own executors, which tell nobody when one begins: the one under way
}

// iteration is one run of a script's function.
type iteration struct {
	began  time.Time     // zero under k6's own executors, which tell nobody
	delay  time.Duration // from the intended to the actual start
	last   time.Time     // end of the last request
	took   time.Duration // its service time
	failed bool          // a request has failed
	asked  bool          // a request was counted
	sent   bool          // something has gone out
}

// user returns the virtual user of a number.
func (c *generator) user(number string) *user {
	if u, ok := c.users.Load(number); ok {
		return u.(*user)
	}
	u, _ := c.users.LoadOrStore(number, new(user))
	return u.(*user)
}

// begin adds an iteration, which is the output's from then on, and reports whether there are so many that the output should be told.
func (u *user) begin(it *iteration) (long bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.iterations = append(u.iterations, it)
	return len(u.iterations) > manyIterations
}

// at returns the iteration that was under way at an instant, and forgets those before. The instants must not go back.
func (u *user) at(when time.Time) *iteration {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.iterations) == 0 {
		return new(iteration)
	}
	passed := 0
	for passed+1 < len(u.iterations) && !u.iterations[passed+1].began.After(when) {
		passed++
	}
	if passed > 0 {
		u.iterations = slices.Delete(u.iterations, 0, passed)
	}
	return u.iterations[0]
}

// current returns the iteration that is under way, where nobody tells when one begins.
func (u *user) current() *iteration {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.now == nil {
		u.now = new(iteration)
	}
	return u.now
}

// finish returns the iteration that was under way, where nobody tells when one begins: another begins with the next sample.
func (u *user) finish() *iteration {
	it := u.current()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.now = nil
	return it
}

// ended says that an iteration is over, by the way of the samples: so that it comes after the iteration's own.
type ended struct {
	user        *user
	at          time.Time
	thrown      bool
	interrupted bool
}

// GetSamples returns nothing: other outputs have no use for it.
func (*ended) GetSamples() []metrics.Sample { return nil }

package guard

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"time"

	"gameday/faults"
	"gameday/policy"
)

// overtime is how long a fault may stand beyond a policy's max_duration, so that one of just that length is ended by its
// conductor: as long as the proof of an effect may take, and the revert.
const overtime = DefaultEffectTimeout + 5*time.Second

// errJudged is the answer to a request that asks only, when nothing forbids it: nobody can take it for an injection.
var errJudged = errors.New("nothing forbids it, and it was only asked")

// Judge asks whether the guard's machine allows a fault that another guard is to inject: its halts, its own policy and those
// that it was given. It returns nil only if they do. Nothing is looked at besides, and nothing is injected.
func (c *Client) Judge(ctx context.Context, r InjectRequest) error {
	r.Judge = true
	err := c.Check(ctx, r)
	switch {
	case errors.Is(err, errJudged):
		return nil
	case err == nil:
		return errors.New("the guard did not say whether its machine allows it")
	}
	return err
}

// govern refuses a request that a halt or a policy forbids, and cuts its deadline and lease at what policies allow. It needs
// the lock.
func (s *server) govern(k faults.Kind, r *InjectRequest) error {
	if h := faults.Halted(s.opt.Halts...); h != nil {
		return h
	}
	if err := s.ask(k, r); err != nil {
		return err
	}
	if r.Judge {
		return errJudged
	}
	return nil
}

// ask asks every policy. It needs the lock.
func (s *server) ask(k faults.Kind, r *InjectRequest) error {
	all := slices.Concat(s.opt.Policies, s.policies)
	if len(all) == 0 {
		return nil
	}
	host, _ := os.Hostname()
	q, err := Question(k, *r, host)
	if err != nil {
		return err
	}
	s.count(&q, r)
	if err := Forbidden(all, q, time.Now()); err != nil {
		return err
	}
	for _, p := range all {
		if limit := p.MaxDuration.Fault; limit > 0 && k.Reversible {
			r.Deadline = min(r.Deadline, limit+overtime)
			r.Lease = min(r.Lease, r.Deadline)
		}
	}
	return nil
}

// count adds to a question what this guard knows of the amounts: a client that tells less is not believed. It needs the lock.
func (s *server) count(q *policy.Request, r *InjectRequest) {
	q.Selected = max(q.Selected, s.others(r)+1)
	if r.reached {
		r.Claims.Sides = q.Sides // as this guard has found them
	}
	q.Sides, q.Standing = touching(r), slices.Clone(q.Standing)
	for _, h := range s.holders {
		switch {
		case h.req.Run != r.Run || h.req.ID == r.ID:
		case h.req.Fault == r.Fault: // its other places
			if more := unnamed(q.Sides, touching(&h.req)); len(more) > 0 {
				q.Sides = append(q.Sides, policy.Side{Touched: more})
			}
		default:
			q.Standing = append(q.Standing, policy.Standing{Fault: h.req.Fault, Ends: !h.kind.Reversible, Sides: touching(&h.req)})
		}
	}
	for id, st := range s.ended(r.Run) {
		if st.Fault != r.Fault && !slices.Contains(r.Claims.Back, id) {
			q.Standing = append(q.Standing, st)
		}
	}
}

// touching returns the sides of a request, with its place and peers among what is touched whatever the client tells.
func touching(r *InjectRequest) []policy.Side {
	sides := slices.Clone(r.Claims.Sides)
	own := []string{r.Place.Individual()}
	if r.reached {
		own = nil // it is the whole cluster, of which only what the sides have is touched
	}
	for _, p := range r.Place.Peers {
		if i := p.Individual(); i != "" {
			own = append(own, i)
		}
	}
	if more := unnamed(sides, []policy.Side{{Touched: own}}); len(more) > 0 {
		sides = append(sides, policy.Side{Touched: more})
	}
	return sides
}

// unnamed returns the places that more touches and known does not.
func unnamed(known, more []policy.Side) []string {
	var out []string
	for _, m := range more {
		for _, place := range m.Touched {
			if !slices.ContainsFunc(known, func(k policy.Side) bool { return slices.Contains(k.Touched, place) }) {
				out = append(out, place)
			}
		}
	}
	return out
}

// others counts the other places at which this guard has granted the same fault of the same run. It needs the lock.
func (s *server) others(r *InjectRequest) int {
	n := 0
	for id := range s.granted[r.Run+"\x00"+r.Fault] {
		if id != r.ID {
			n++
		}
	}
	return n
}

// grant remembers a request for others, and for ended. It needs the lock.
func (s *server) grant(r *InjectRequest) {
	s.note(r.Run+"\x00"+r.Fault, r.ID)
	if s.undoes(r) {
		return
	}
	raw, err := json.Marshal(granted{ID: r.ID, Standing: policy.Standing{Fault: r.Fault, Ends: true, Sides: touching(r)}})
	if err == nil { // strings always can be written
		s.note(r.Run, string(raw))
	}
}

// undoes reports whether a fault is reversible with the parameters that are asked for.
func (s *server) undoes(r *InjectRequest) bool {
	for _, k := range s.opt.Kinds {
		if k.Name == r.Kind {
			config := k.New()
			_ = json.Unmarshal(r.Config, config) // what cannot be read is refused when it is bound
			return k.For(config).Reversible
		}
	}
	return true
}

func (s *server) note(key, value string) {
	if s.granted[key] == nil {
		s.granted[key] = map[string]bool{}
	}
	s.granted[key][value] = true
}

// granted is a fault without an undo that was begun. No holder is left to tell of it.
type granted struct {
	ID string `json:"id"`
	policy.Standing
}

// ended returns the faults of a run that were granted and cannot be undone, by their ids. It needs the lock.
func (s *server) ended(run string) map[string]policy.Standing {
	out := map[string]policy.Standing{}
	for raw := range s.granted[run] {
		var g granted
		if json.Unmarshal([]byte(raw), &g) == nil {
			out[g.ID] = g.Standing
		}
	}
	return out
}

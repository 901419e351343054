package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gameday/rehearsals"
	"gameday/report"
	"gameday/report/badge"
	"gameday/room"
	"gameday/room/gate"
)

// written returns what somebody wrote, as one line.
func written(r *http.Request) (string, bool) {
	t := strings.TrimSpace(r.PostFormValue("text"))
	if len(t) > textLimit || !utf8.ValidString(t) {
		return "", false
	}
	return report.PlainText(t), true
}

// tooLong is said of a text that is refused.
var tooLong = fmt.Sprintf("A text has up to %d bytes.", textLimit)

func (s *Site) stopPage(v *visit) (any, error) {
	if !v.leads() {
		return nil, &refusal{http.StatusForbidden, "That is for facilitators."}
	}
	return nil, nil
}

// leads returns the facilitator who asks, or refuses and says what they were kept from.
func (s *Site) leads(w http.ResponseWriter, r *http.Request, what string) (*visit, bool) {
	v, ok := s.come(w, r)
	switch {
	case !ok:
		return nil, false
	case v.leads():
		return v, true
	case s.Gate.People.Allow(gate.Person(v.Guest)): // else they would fill the audit log
		s.note(r, v.Guest, "was kept from: "+what)
	}
	s.refuse(w, r, http.StatusForbidden, "That is for facilitators.")
	return nil, false
}

// halt stops all game days. Neither a bound on what one may ask nor a text that cannot be read keeps a facilitator from it.
func (s *Site) halt(w http.ResponseWriter, r *http.Request) {
	v, ok := s.leads(w, r, "stopping all game days")
	if !ok {
		return
	}
	why, _ := written(r)
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{}) // the request was read; else its deadline would end this
	_ = rc.SetWriteDeadline(time.Now().Add(stopPatient + gate.WriteLimit))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), stopPatient) // a browser that goes away takes nothing back
	defer cancel()
	said, err := s.Data.Stop(ctx, room.Signed(v.Name, v.Role), why)
	s.note(r, v.Guest, fmt.Sprintf("stopped all game days, because of %q", why))
	if err != nil {
		s.note(r, v.Guest, "stopping all game days: "+err.Error())
		s.say(w, r, http.StatusBadGateway, gate.Message{Title: "Not everything was stopped", Back: true, Text: strings.TrimSpace("Not everything is known to have stopped: " + err.Error() + ".\n" + said +
			"\nSay it again, or `gameday stop --all` on the machine.")})
		return
	}
	s.say(w, r, http.StatusOK, gate.Message{Title: "Stopped", Back: true, Text: strings.TrimSpace("Every game day of this server's user was told to stop, of root's server everybody's, and no new one begins until a facilitator lets them go on.\n" + said)})
}

// lift lets game days go on.
func (s *Site) lift(w http.ResponseWriter, r *http.Request) {
	v, ok := s.leads(w, r, "letting game days go on")
	if !ok {
		return
	}
	if !s.Gate.People.Allow(gate.Person(v.Guest)) {
		s.tooMuch(w, r)
		return
	}
	why, fine := written(r)
	if !fine {
		s.refuse(w, r, http.StatusBadRequest, tooLong)
		return
	}
	said, err := s.Data.Lift(context.WithoutCancel(r.Context()), room.Signed(v.Name, v.Role), why)
	if err != nil {
		s.note(r, v.Guest, "letting game days go on: "+err.Error())
		s.refuse(w, r, http.StatusBadGateway, "They are still stopped: "+err.Error()+". "+said)
		return
	}
	s.note(r, v.Guest, fmt.Sprintf("let game days go on, because of %q", why))
	s.say(w, r, http.StatusOK, gate.Message{Title: "Game days go on", Back: true, Text: strings.TrimSpace("Schedules begin game days again at their times.\n" + said)})
}

func (s *Site) tooMuch(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "2")
	s.refuse(w, r, http.StatusTooManyRequests, gate.TooMuch)
}

// rehearsals lists what may launch.
func (s *Site) rehearsals(v *visit) (any, error) {
	runs, err := s.past(v.Context(), v.Role)
	if err != nil {
		return nil, err
	}
	all, err := s.Data.Rehearsals(v.Context())
	if err != nil {
		return nil, err
	}
	var out []seenRehearsal
	for i := range all {
		out = append(out, seenRehearsalOf(&all[i], runs, v.Role, v.at))
	}
	return out, nil
}

// rehearsalPage is one rehearsal.
type rehearsalPage struct {
	seenRehearsal
	Lanes   []lane
	MaySign bool
	At      time.Time
}

// lane are the scenarios that are run one after the other.
type lane struct {
	Name  string
	Steps []seenStep
}

func lanesOf(steps []seenStep) []lane {
	var out []lane
	for _, s := range steps {
		i := slices.IndexFunc(out, func(l lane) bool { return l.Name == s.Lane })
		if i < 0 {
			out, i = append(out, lane{Name: s.Lane}), len(out)
		}
		out[i].Steps = append(out[i].Steps, s)
	}
	return out
}

// find returns a rehearsal by its name, as somebody may see it.
func (s *Site) find(v *visit) (*Rehearsal, seenRehearsal, error) {
	runs, err := s.past(v.Context(), v.Role)
	if err != nil {
		return nil, seenRehearsal{}, err
	}
	all, err := s.Data.Rehearsals(v.Context())
	if err != nil {
		return nil, seenRehearsal{}, err
	}
	for i := range all {
		if all[i].Plan.Name == v.PathValue("name") {
			return &all[i], seenRehearsalOf(&all[i], runs, v.Role, v.at), nil
		}
	}
	return nil, seenRehearsal{}, errNothing
}

func (s *Site) rehearsal(v *visit) (any, error) {
	r, seen, err := s.find(v)
	if err != nil {
		return nil, err
	}
	return &rehearsalPage{seenRehearsal: seen, Lanes: lanesOf(seen.Steps), At: v.at,
		MaySign: v.Role != room.Observer && seen.Digest != "" && len(r.Plan.SignOff) > 0}, nil
}

// sign keeps what somebody says about a rehearsal, of which they sent the digest that they saw.
func (s *Site) sign(w http.ResponseWriter, r *http.Request) {
	v, ok := s.come(w, r)
	if !ok {
		return
	}
	if !s.Gate.People.Allow(gate.Person(v.Guest)) {
		s.tooMuch(w, r)
		return
	}
	plan, seen, err := s.find(v)
	if no, ok := err.(*refusal); ok {
		s.refuse(w, r, no.status, no.text)
		return
	}
	if err != nil {
		s.Say("a rehearsal could not be signed for: " + err.Error())
		s.refuse(w, r, http.StatusServiceUnavailable, "What there is to sign for is not known just now, so nothing was signed.")
		return
	}
	why, fine := written(r)
	role, saw, refused := r.PostFormValue("as"), r.PostFormValue("saw"), r.PostFormValue("say") == "refuse"
	status, text := http.StatusBadRequest, ""
	switch {
	case v.Role == room.Observer:
		status, text = http.StatusForbidden, "That is not for you to do: you are "+string(v.Role)+"."
	case seen.Digest == "":
		status, text = http.StatusForbidden, "A part of this rehearsal is hidden from you, and nobody signs for what they have not seen. A facilitator can."
	case !slices.Contains(plan.Plan.SignOff, role):
		text = "Say for which role: " + strings.Join(plan.Plan.SignOff, ", ") + "."
	case !fine:
		text = tooLong
	case refused && why == "":
		text = "Say why it is refused."
	case saw != seen.Digest:
		status, text = http.StatusConflict, changedText
	}
	unsigned := func(status int, text string) {
		s.note(r, v.Guest, "was kept from signing for rehearsal "+plan.Plan.Name+": "+text)
		s.refuse(w, r, status, text)
	}
	if text != "" {
		unsigned(status, text)
		return
	}
	signed := rehearsals.SignOff{Rehearsal: plan.Plan.Name, Role: role, By: v.Name, As: room.Signed(v.Name, v.Role), At: v.at.UTC().Round(0), Saw: saw, Showed: seen.State, Refused: refused, Why: why}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), signPatient) // a browser that goes away takes nothing back
	defer cancel()
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(signPatient + gate.WriteLimit)) // whether it was signed must be told
	switch err := s.Data.SignOff(ctx, signed); {
	case errors.Is(err, ErrChanged):
		unsigned(http.StatusConflict, changedText)
		return
	case err != nil:
		s.Say("keeping a sign-off: " + err.Error())
		unsigned(http.StatusServiceUnavailable, "It could not be kept, so nothing was signed. Tell whoever runs this server.")
		return
	}
	http.Redirect(w, r, s.Gate.Path+"/rehearsals/"+string(pathOf(plan.Plan.Name)), http.StatusSeeOther)
}

const changedText = "What was seen is not what there is now, so nothing was signed. Go back, load the page again, and look."

// badgePolicy is that of a badge, which others may show on their pages.
const badgePolicy = "default-src 'none'; sandbox; frame-ancestors 'none'"

// badge serves the badge of a scenario, as those see it who may know the least. Of a scenario that there is none of it says the same as of
// one that nobody may know of: that nothing is known.
func (s *Site) badge(w http.ResponseWriter, r *http.Request) {
	scenario, ok := strings.CutSuffix(r.PathValue("file"), ".svg")
	if !ok || scenario == "" || len(scenario) > 200 {
		s.refuse(w, r, http.StatusNotFound, nothingHere)
		return
	}
	whose := "public"
	if !s.PublicBadges {
		if _, ok := s.come(w, r); !ok {
			return
		}
		whose = "private"
	}
	runs, err := s.past(r.Context(), room.Observer)
	if err != nil {
		s.Say("a badge could not be drawn: " + err.Error())
		runs = &past{} // which says that it is not known
	}
	var b bytes.Buffer
	if err := badge.SVG(&b, badge.Of(scenario, runs.ended(scenario), s.FreshWithin, s.Now())); err != nil {
		s.Say(err.Error())
		http.Error(w, "This picture could not be made.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "image/svg+xml; charset=utf-8")
	h.Set("Content-Security-Policy", badgePolicy)
	h.Set("Cache-Control", whose+", max-age=60")
	if s.PublicBadges {
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	_, _ = w.Write(b.Bytes())
}

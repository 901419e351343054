package dns

import (
	"fmt"
	"os"
	"strings"

	"gameday/faults/internal/netns"
)

// resolvConf is where this machine's resolver is described.
const resolvConf = "/etc/resolv.conf"

// refuseSelfCut returns an error if the place's network is the guard's own and the outage hits a name that gameday itself
// looks up there: of an alarm source, of an SSH host. All names are hit by what names nothing, those that nobody has told
// the guard of included. With allow_self_cut it is let through.
func (p *plan) refuseSelfCut(getenv func(string) string) error {
	if p.allowSelfCut {
		return nil
	}
	own, err := netns.Own()
	if err != nil || !netns.Same(own, p.place.Network) {
		return err
	}
	if p.treatment.names.all() {
		return fmt.Errorf("dns_outage on %s would hit every name that gameday itself looks up on this machine, such as those of "+
			"alarm sources and SSH hosts: list in names those to hit, or set allow_self_cut = true, and the lease alone ends it",
			p.place.Name)
	}
	kept, err := netns.KeptWords(getenv)
	if err != nil {
		return err
	}
	text, _ := os.ReadFile(resolvConf) // without it, no domain is appended to names
	domains := searchDomains(string(text))
	for _, k := range kept {
		for _, asked := range questions(k.Name, domains) {
			if name, _, err := parsePattern(asked); err == nil && p.treatment.names.has(name) {
				return fmt.Errorf("dns_outage on %s would hit %s, a name that gameday itself looks up on this machine (%s): take it "+
					"out of names, or set allow_self_cut = true, and the lease alone ends it", p.place.Name, asked, k.Why)
			}
		}
	}
	return nil
}

// questions returns the names that a resolver asks for on behalf of one: a name of one part is tried in each domain.
func questions(name string, domains []string) []string {
	if name == "" {
		return nil
	}
	list := []string{name}
	if !strings.Contains(name, ".") {
		for _, d := range domains {
			list = append(list, name+"."+d)
		}
	}
	return list
}

// searchDomains returns the domains of a resolv.conf: the last line of "search" or "domain" counts.
func searchDomains(text string) []string {
	var domains []string
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 1 && (words[0] == "search" || words[0] == "domain") {
			domains = words[1:]
		}
	}
	return domains
}

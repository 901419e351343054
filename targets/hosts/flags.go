package hosts

import (
	"regexp"
	"strings"

	"gameday/faults/ssh"
)

// plainWord is what a shell leaves as it is.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./@%+=:,-]+$`)

// Flags returns the flags with which the gameday command reaches the same host, its guard and its ledger, as one would type them:
// "--host web1 --sudo". A revert without --sudo would look into another user's ledger.
func (s Settings) Flags() string { return "--host " + word(s.SSH.Destination) + s.reaching() }

// Arguments is Flags for the verbs that take hosts as arguments: "--sudo web1".
func (s Settings) Arguments() string {
	return strings.TrimPrefix(s.reaching()+" "+word(s.SSH.Destination), " ")
}

func (s Settings) reaching() string {
	var b strings.Builder
	for _, f := range []struct{ flag, value string }{{"--ssh-config", s.SSH.Config}, {"--guard", s.Guard}, {"--install", s.Install}} {
		if f.value != "" {
			b.WriteString(" " + f.flag + " " + word(f.value))
		}
	}
	if s.SSH.Sudo {
		b.WriteString(" --sudo")
	}
	return b.String()
}

// word quotes for a shell what needs it. A path in the home folder is expanded by whoever reads the flag, here or over there.
func word(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return ssh.Quote(s)
}

package hosts_test

import (
	"testing"

	"gameday/faults"
	"gameday/targets/hosts"
)

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		settings         hosts.Settings
		flags, arguments string
	}{
		{hosts.Settings{SSH: faults.SSH{Destination: "web1"}}, "--host web1", "web1"},
		{hosts.Settings{SSH: faults.SSH{Destination: "deploy@web1", Sudo: true}}, "--host deploy@web1 --sudo", "--sudo deploy@web1"},
		{hosts.Settings{SSH: faults.SSH{Destination: "ssh://ops@203.0.113.7:2222", Config: "/my conf"}},
			"--host ssh://ops@203.0.113.7:2222 --ssh-config '/my conf'", "--ssh-config '/my conf' ssh://ops@203.0.113.7:2222"},
		{hosts.Settings{SSH: faults.SSH{Destination: "web1"}, Guard: "/usr/local/sbin/gameday-guard", Install: "~/g"},
			"--host web1 --guard /usr/local/sbin/gameday-guard --install '~/g'", "--guard /usr/local/sbin/gameday-guard --install '~/g' web1"},
	} {
		if got := c.settings.Flags(); got != c.flags {
			t.Errorf("%+v: %s, want %s", c.settings, got, c.flags)
		}
		if got := c.settings.Arguments(); got != c.arguments {
			t.Errorf("%+v: %s, want %s", c.settings, got, c.arguments)
		}
	}
}

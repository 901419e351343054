package k6

import (
	"fmt"

	"go.k6.io/k6/v2/secretsource"
)

// secretsName is that of the source that answers what a script asks of k6/secrets.
const secretsName = "gameday"

// secrets answers from the script's environment, which is where a scenario puts what it reads with secret(). What was asked for
// k6 takes out of its log.
type secrets struct{ env map[string]string }

func (s *secrets) source(secretsource.Params) (secretsource.Source, error) { return s, nil }

// Description names the source.
func (s *secrets) Description() string { return "the traffic's env" }

// Get returns a secret by its name.
func (s *secrets) Get(name string) (string, error) {
	v, ok := s.env[name]
	if !ok {
		return "", fmt.Errorf("no secret %q: give it to the script in the scenario, env = { %s = secret(\"%s\") }", name, name, name)
	}
	return v, nil
}

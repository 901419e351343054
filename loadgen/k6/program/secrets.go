package program

import (
	"fmt"

	"github.com/sirupsen/logrus"
	"go.k6.io/k6/v2/secretsource"
)

// secrets is the source that answers what a script asks of k6/secrets. It answers from the script's environment, which is where a scenario puts what it reads with secret(). What was asked for
// k6 takes out of its log.
type secrets struct{ env map[string]string }

func (s *secrets) source(p secretsource.Params) (secretsource.Source, error) {
	if l, ok := p.Logger.(*logrus.Logger); ok {
		l.AddHook(textErrors{})
	}
	return s, nil
}

// textErrors makes texts of the errors in a message, before k6 looks for secrets in it: of errors k6 leaves nothing, once a script
// has asked for a secret, and so not why a request failed.
type textErrors struct{}

// Levels says that all messages are looked at.
func (textErrors) Levels() []logrus.Level { return logrus.AllLevels }

// Fire changes one message.
func (textErrors) Fire(e *logrus.Entry) error {
	for name, v := range e.Data {
		if err, ok := v.(error); ok {
			e.Data[name] = err.Error()
		}
	}
	return nil
}

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

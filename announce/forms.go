package announce

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Text returns a message as plain text: its title, its lines, and the place to look.
func (m *Message) Text() string {
	var b strings.Builder
	b.WriteString(m.Title + "\n")
	if len(m.Lines) > 0 {
		b.WriteString("\n" + strings.Join(m.Lines, "\n") + "\n")
	}
	if m.Link != "" {
		b.WriteString("\n" + m.Link + "\n")
	}
	return b.String()
}

// Body returns what is posted to a channel of a kind: JSON, as its documentation has it. A kind that nothing is posted to is an
// error.
func Body(kind Kind, m *Message, sent time.Time) ([]byte, error) {
	switch kind {
	case Slack:
		return encode(slackForm(m))
	case Mattermost:
		return encode(mattermostForm(m))
	case Teams:
		return encode(teamsForm(m))
	case Webhook:
		return encode(webhookForm(m, sent))
	default:
		return nil, errors.New("nothing is posted to " + string(kind))
	}
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("writing a message: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// webhookForm is format 1 of docs/announcements.md.
func webhookForm(m *Message, sent time.Time) any {
	return struct {
		Format int       `json:"format"`
		Sent   time.Time `json:"sent_at"`
		*Message
	}{1, sent.UTC().Round(0), m}
}

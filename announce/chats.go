package announce

import (
	"strings"
	"unicode/utf8"

	"gameday/report"
)

// What chats are sent. Texts are put where a chat shows them as they are, so that nothing in a scenario's name or an alarm's title
// becomes markup, a link, or a mention that wakes a whole channel.

// slackText is a text object of Slack's Block Kit (docs.slack.dev/reference/block-kit/composition-objects/text-object).
type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// slackBlock is a header or a section (docs.slack.dev/reference/block-kit/blocks).
type slackBlock struct {
	Type string    `json:"type"`
	Text slackText `json:"text"`
}

// slackMessage is what an incoming webhook takes (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
type slackMessage struct {
	// Text is what notifications show, and all that programs show which speak like Slack and know no blocks.
	Text   string       `json:"text"`
	Blocks []slackBlock `json:"blocks"`
	Unfurl bool         `json:"unfurl_links"`
}

// Slack's limits, in characters.
const (
	slackHeader  = 150
	slackSection = 3000
)

// slackEscape is what Slack asks for in texts of type mrkdwn.
var slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func slackForm(m *Message) any {
	out := slackMessage{Text: slackEscape.Replace(strings.TrimSpace(m.Text()))}
	head := slackBlock{"header", slackText{"plain_text", m.Title}}
	if utf8.RuneCountInString(m.Title) > slackHeader {
		head.Type = "section"
	}
	out.Blocks = append(out.Blocks, head)
	for _, part := range parts(m.Lines, slackSection) {
		out.Blocks = append(out.Blocks, slackBlock{"section", slackText{"plain_text", part}})
	}
	if m.Link != "" {
		out.Blocks = append(out.Blocks, slackBlock{"section", slackText{"mrkdwn", "<" + slackEscape.Replace(m.Link) + "|Look>"}})
	}
	return out
}

// parts joins lines to texts of at most limit characters. No line is longer than that.
func parts(lines []string, limit int) []string {
	var out []string
	for _, l := range lines {
		if n := len(out); n > 0 && utf8.RuneCountInString(out[n-1])+1+utf8.RuneCountInString(l) <= limit {
			out[n-1] += "\n" + l
			continue
		}
		out = append(out, l)
	}
	return out
}

// mattermostMessage is what an incoming webhook takes (developers.mattermost.com/integrate/webhooks/incoming).
type mattermostMessage struct {
	Text string `json:"text"`
}

func mattermostForm(m *Message) any {
	var b strings.Builder
	b.WriteString("**" + mattermostText(m.Title) + "**")
	for _, l := range m.Lines {
		b.WriteString("\n" + mattermostText(l))
	}
	if m.Link != "" {
		b.WriteString("\n" + m.Link)
	}
	return mattermostMessage{b.String()}
}

// mattermostText makes a text harmless in Mattermost's Markdown. Mentions are found in the text as it is sent, whatever is escaped
// in it: a zero-width space breaks them.
func mattermostText(s string) string {
	return report.Markdown(strings.ReplaceAll(s, "@", "@\u200b"))
}

// teamsMessage is what the workflows of Microsoft Teams take that begin when a webhook request is received: a message with one
// Adaptive Card (adaptivecards.io/explorer; learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors). The connectors
// that took other cards are retired.
type teamsMessage struct {
	Type        string            `json:"type"`
	Attachments []teamsAttachment `json:"attachments"`
}

type teamsAttachment struct {
	ContentType string    `json:"contentType"`
	ContentURL  *string   `json:"contentUrl"`
	Content     teamsCard `json:"content"`
}

type teamsCard struct {
	Schema   string        `json:"$schema"`
	Type     string        `json:"type"`
	Version  string        `json:"version"`
	Fallback string        `json:"fallbackText"`
	Body     []teamsBlock  `json:"body"`
	Actions  []teamsAction `json:"actions,omitempty"`
	Teams    teamsWidth    `json:"msteams"`
}

type teamsWidth struct {
	Width string `json:"width"`
}

// teamsBlock is a RichTextBlock, which shows its runs as they are; a TextBlock would take an underscore for markup.
type teamsBlock struct {
	Type    string     `json:"type"`
	Inlines []teamsRun `json:"inlines"`
	Spacing string     `json:"spacing,omitempty"`
}

type teamsRun struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Weight string `json:"weight,omitempty"`
	Size   string `json:"size,omitempty"`
}

type teamsAction struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

func teamsForm(m *Message) any {
	card := teamsCard{Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.2", Fallback: m.Title, Teams: teamsWidth{"Full"}}
	card.Body = []teamsBlock{{Type: "RichTextBlock", Inlines: []teamsRun{{"TextRun", m.Title, "Bolder", "Medium"}}}}
	for _, l := range m.Lines {
		card.Body = append(card.Body, teamsBlock{Type: "RichTextBlock", Inlines: []teamsRun{{Type: "TextRun", Text: l}}, Spacing: "Small"})
	}
	if m.Link != "" {
		card.Actions = []teamsAction{{"Action.OpenUrl", "Look", m.Link}}
	}
	return teamsMessage{"message", []teamsAttachment{{ContentType: "application/vnd.microsoft.card.adaptive", Content: card}}}
}

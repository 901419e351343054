package slack

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/clock"
)

// description is what is read of Slack's own description of its Web API, slack_web_openapi_v2.json of
// github.com/slackapi/slack-api-specs, which was frozen in 2021. It is theirs, and not part of this project.
type description struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Name string
		}
	}
	Definitions map[string]map[string]any
}

// has returns the names of the members that a schema can have.
func (d *description) has(schema any) (out []string) {
	m, ok := schema.(map[string]any)
	if !ok {
		return nil
	}
	if ref, ok := m["$ref"].(string); ok {
		return d.has(map[string]any(d.Definitions[ref[strings.LastIndex(ref, "/")+1:]]))
	}
	if members, ok := m["properties"].(map[string]any); ok {
		for name := range members {
			out = append(out, name)
		}
	}
	for _, key := range []string{"items", "anyOf", "oneOf", "allOf"} { // items is a list of choices there
		if list, ok := m[key].([]any); ok {
			for _, one := range list {
				out = append(out, d.has(one)...)
			}
		}
		out = append(out, d.has(m[key])...)
	}
	return out
}

// TestContract holds what is asked, and what is read of the answers, to Slack's own description where that is there. Its schemas use
// forms that no validator knows, so names are compared, and no values.
func TestContract(t *testing.T) {
	dir := os.Getenv("SPEC_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "specs")
	}
	text, err := os.ReadFile(filepath.Join(dir, "slack.json"))
	if os.IsNotExist(err) && os.Getenv("SPEC_DIR") == "" {
		t.Skipf("Slack's description of its API is not in %s, so nothing was held to it; it is Slack's, and not part of this project. Set SPEC_DIR to the folder that has it", dir)
	}
	var d description
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := evening(began)
		f.short = true
		f.say("C1", began.Add(45*time.Second), `{"ts":"TS","bot_id":"BALERT","text":"[FIRING:1] Slow","reactions":[{"name":"eyes","users":["UANN","UBOB"],"count":2}]}`)
		s, server := asked(t, f)
		time.Sleep(400 * time.Second)
		if _, _, err := s.History(t.Context(), clock.Span{Start: began, End: began.Add(300 * time.Second)}); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, one := range server.Asked() {
			at, err := url.Parse(strings.TrimPrefix(one, "GET "))
			if err != nil {
				t.Fatal(err)
			}
			path := strings.TrimPrefix(at.Path, "/api")
			seen[path] = true
			of, ok := d.Paths[path]["get"]
			if !ok && path != "/auth.test" { // which the reduced copy leaves out
				t.Errorf("%s is not in the description", path)
			}
			for name := range at.Query() {
				if path != "/auth.test" && !slices.ContainsFunc(of.Parameters, func(p struct{ Name string }) bool { return p.Name == name }) {
					t.Errorf("%s has no parameter %s", path, name)
				}
			}
		}
		for _, path := range []string{"/conversations.list", "/conversations.history", "/conversations.replies", "/conversations.members", "/reactions.get", "/pins.list", "/users.info"} {
			if !seen[path] {
				t.Errorf("%s was not asked", path)
			}
		}
	})
	for schema, members := range map[string][]string{
		"objs_message":      {"ts", "user", "text", "subtype", "bot_id", "thread_ts", "reply_count", "latest_reply", "reactions", "attachments"},
		"objs_conversation": {"id", "name", "created", "creator", "is_member", "is_archived"},
		"objs_reaction":     {"name", "users", "count"},
		"objs_user":         {"id", "is_bot"},
	} {
		has := d.has(map[string]any(d.Definitions[schema]))
		for _, m := range members {
			if !slices.Contains(has, m) {
				t.Errorf("%s has no %s", schema, m)
			}
		}
	}
}

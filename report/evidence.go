package report

import (
	"fmt"
	"strings"
	"time"
)

// Attached is evidence that somebody attached to a run, by a mark of the name EvidenceMark.
type Attached struct {
	At   time.Time   `json:"at"`
	By   string      `json:"by"`             // as reports name people
	Text string      `json:"text,omitempty"` // what it is, or where
	File *Attachment `json:"file,omitempty"` // in the record's folder; nil is none
	Line int         `json:"line,omitempty"` // of record.jsonl
}

// Words returns who attached what, in a sentence. That the file is still there, and as it was, nobody has looked at: its sum says so.
func (a Attached) Words() string {
	out := a.By + " attached evidence"
	if a.Text != "" {
		out += ": " + strings.TrimSuffix(a.Text, ".")
	}
	if a.File != nil {
		out += fmt.Sprintf("; the file %s of %d bytes, in the record as %s, SHA-256 %s", a.File.Name, a.File.Size, a.File.Path, a.File.SHA256)
	}
	return out + "."
}

// attached puts together what was attached, by time, as reports name people.
func (j *judge) attached() []Attached {
	var out []Attached
	for _, m := range j.tl.Marks {
		if m.V.Name != EvidenceMark {
			continue
		}
		a := Attached{At: m.At, By: j.people.name(m.V.By), Text: j.people.scrub(m.V.Text), Line: m.line()}
		if m.V.File != nil {
			f := *m.V.File
			f.Name = j.people.scrub(PlainText(f.Name))
			a.File = &f
		}
		out = append(out, a)
	}
	return out
}

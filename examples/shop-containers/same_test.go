package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// elsewhere are the blocks that may differ: the lab at the top of a file, and the targets of its scenario.
var elsewhere = regexp.MustCompile(`(?ms)^(lab ".*?^\}\n|  target ".*?^  \}\n)`)

// TestSame holds the two scenarios to one text but for where their faults land.
func TestSame(t *testing.T) {
	var rest []string
	for file, want := range map[string]int{"lab.hcl": 3, "containers.hcl": 2} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(elsewhere.FindAll(text, -1)); n != want {
			t.Errorf("%s has %d blocks of its own, want %d", file, n, want)
		}
		rest = append(rest, strings.ReplaceAll(elsewhere.ReplaceAllString(string(text), ""), "\n\n\n", "\n\n"))
	}
	if rest[0] != rest[1] {
		t.Errorf("they differ in more than their targets:\n%s\n---\n%s", rest[0], rest[1])
	}
	if strings.Count(rest[0], "\n") < 80 {
		t.Error("hardly anything was compared")
	}
}

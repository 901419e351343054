package deploy

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// stage is one stage of a Containerfile.
type stage struct {
	from, name string
	lines      []instruction
}

type instruction struct{ word, rest string }

// stages reads the Containerfile, which holds its instructions to one line each.
func stages(t *testing.T) []stage {
	t.Helper()
	text, err := os.ReadFile("../Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	var out []stage
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasSuffix(line, `\`) {
			t.Fatalf("%q goes on in the next line; this test reads one line each", line)
		}
		word, rest, _ := strings.Cut(line, " ")
		if word == "FROM" {
			from, name, _ := strings.Cut(rest, " AS ")
			out = append(out, stage{from: from, name: name})
			continue
		}
		if len(out) == 0 {
			t.Fatalf("%q comes before any FROM", line)
		}
		out[len(out)-1].lines = append(out[len(out)-1].lines, instruction{word, rest})
	}
	return out
}

// settings returns the lines of the last stage that say how the image is run, as they stand, after holding the rest of the file to
// this: the image is what `make image-root` makes and nothing else.
func settings(t *testing.T) []string {
	t.Helper()
	all := stages(t)
	if len(all) != 2 || all[1].from != "scratch" {
		t.Fatalf("the Containerfile has %d stages, the last from %q; it is to have two, the last from scratch", len(all), all[len(all)-1].from)
	}
	build := all[0].lines
	made := regexp.MustCompile(`^make image-root IMAGE_ROOT=(/\S+)$`).FindStringSubmatch(build[len(build)-1].rest)
	if build[len(build)-1].word != "RUN" || made == nil {
		t.Fatalf("the first stage ends with %v, and not by making the image's root", build[len(build)-1])
	}
	var out []string
	for i, l := range all[1].lines {
		switch {
		case i == 0:
			if want := "--from=" + all[0].name + " " + made[1] + "/ /"; l.word != "COPY" || l.rest != want {
				t.Errorf("the last stage begins with %v, want COPY %s", l, want)
			}
		case slices.Contains([]string{"ENV", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}, l.word):
			out = append(out, l.word+" "+l.rest)
		default:
			t.Errorf("%s in the last stage is nothing that the test of the image knows of", l.word)
		}
	}
	return out
}

// TestContainerfile holds the Containerfile to a user with a number, which is how Kubernetes can tell that it is not root, and to
// the version of Go that go.mod asks for.
func TestContainerfile(t *testing.T) {
	lines := settings(t)
	if !slices.ContainsFunc(lines, regexp.MustCompile(`^USER [1-9][0-9]*:[1-9][0-9]*$`).MatchString) {
		t.Errorf("no line sets a user by number: %q", lines)
	}
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	wanted := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	if from := stages(t)[0].from; !strings.HasSuffix(from, ":"+string(wanted[1])) {
		t.Errorf("it is built by %s, and go.mod asks for Go %s", from, wanted[1])
	}
}

// TestLinkedIn holds what speaks to the world to bringing along what an image from scratch has no files for: the certificates of public
// authorities, and the world's time zones. SSL_CERT_FILE still names others.
func TestLinkedIn(t *testing.T) {
	for _, program := range []string{"gameday", "gameday-k6"} {
		out, err := exec.Command("go", "list", "-deps", "../cmd/"+program).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, pkg := range []string{"golang.org/x/crypto/x509roots/fallback", "time/tzdata"} {
			if !slices.Contains(strings.Fields(string(out)), pkg) {
				t.Errorf("%s does not link %s, and the image has nothing in its place", program, pkg)
			}
		}
	}
}

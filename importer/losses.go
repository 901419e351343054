package importer

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// shownPlaces is how many places of one kind of loss are shown to people. All are in Result.Losses.
const shownPlaces = 3

// titles are how classes are headed.
var titles = []struct {
	class Class
	title string
}{{Lost, "Not carried over"}, {Secret, "Kept out of the block, and to be given"}, {Guess, "To be checked"}}

// WriteLosses writes losses for people, those of a kind together.
func WriteLosses(w io.Writer, losses []Loss, width int) error {
	var b strings.Builder
	for _, t := range titles {
		groups := grouped(losses, t.class)
		if len(groups) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n  %s\n", t.title)
		for _, g := range groups {
			var lines []string
			seen := map[string]bool{}
			for _, l := range g {
				if line := l.What + "   " + l.place(); !seen[line] {
					seen[line] = true
					lines = append(lines, line)
				}
			}
			for i, line := range lines {
				if i == shownPlaces && len(lines) > shownPlaces+1 {
					fmt.Fprintf(&b, "    … and %d more\n", len(lines)-shownPlaces)
					break
				}
				fold(&b, line, "    ", width)
			}
			fold(&b, capital(g[0].Why)+". "+capital(g[0].Do)+".", "      ", width)
		}
	}
	_, err := io.WriteString(w, Plain(b.String()))
	return err
}

// Plain takes the controls out of a text but its line breaks: what a file says must not move the cursor of whoever reads it.
func Plain(text string) string {
	return strings.Map(func(c rune) rune {
		if c == '\n' || strconv.IsPrint(c) {
			return c
		}
		return utf8.RuneError
	}, text)
}

// place says where in the file a loss is, in brackets.
func (l Loss) place() string {
	if l.Line == 0 {
		return "[" + l.Where + "]"
	}
	return fmt.Sprintf("[line %d, %s]", l.Line, l.Where)
}

// grouped puts the losses of a class together that have the same cause and the same remedy.
func grouped(losses []Loss, class Class) [][]Loss {
	var out [][]Loss
	at := map[[2]string]int{}
	for _, l := range losses {
		if l.Class != class {
			continue
		}
		i, ok := at[[2]string{l.Why, l.Do}]
		if !ok {
			i = len(out)
			at[[2]string{l.Why, l.Do}] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], l)
	}
	return out
}

// fold breaks a line at its spaces; what follows the first line is indented more.
func fold(b *strings.Builder, text, indent string, width int) {
	line := indent
	used := 0
	for _, word := range strings.Split(text, " ") {
		n := utf8.RuneCountInString(word)
		if used > 0 && utf8.RuneCountInString(line)+1+n > width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line, used = indent+"  ", 0
		}
		if used > 0 {
			line += " "
		}
		line += word
		used++
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

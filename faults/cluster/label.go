package cluster

import "strings"

// Manager is the value of LabelManaged on every object of ours.
const Manager = "gameday"

// longestLabel is how many characters Kubernetes allows in a label's value.
const longestLabel = 63

// LabelValue makes a text fit to be a label's value: letters, digits, "-", "_" and ".", 63 characters at most, letters or digits at
// both ends. It is empty when nothing of the text is left. Two texts may have the same value: annotations hold them whole.
func LabelValue(text string) string {
	clean := strings.Map(func(r rune) rune {
		if alphanumeric(r) || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, text)
	ends := func(r rune) bool { return !alphanumeric(r) }
	clean = strings.TrimLeftFunc(clean, ends)
	if len(clean) > longestLabel {
		clean = clean[:longestLabel]
	}
	return strings.TrimRightFunc(clean, ends)
}

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

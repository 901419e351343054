// Package near guesses which name was meant by one that does not exist.
package near

import "strings"

// Name returns the name that is a slip of the pen away from the one wanted, the empty string when none is.
func Name(want string, names []string) string {
	best, far := "", max(2, len(want)/3)+1
	for _, n := range names {
		if d := distance(strings.ToLower(want), strings.ToLower(n)); d < far {
			best, far = n, d
		}
	}
	return best
}

// distance is the Levenshtein distance between two texts, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

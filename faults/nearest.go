package faults

import "strings"

// Nearest returns the choice that word was probably meant to be, for a "did you mean": the one with the smallest
// edit distance (Levenshtein), letter case aside, if at most two letters or a third of them differ (one in words of one or
// two). Two swapped letters are two. It returns "" when none is near.
func Nearest(word string, choices []string) string {
	best, limit := "", max(2, len(word)/3)+1
	if len(word) <= 2 {
		limit = 2
	}
	for _, c := range choices {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < limit {
			best, limit = c, d
		}
	}
	return best
}

// distance is the number of bytes to insert, delete or replace to get from a to b, row by row.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			step := diagonal
			if a[i] != b[j] {
				step = min(diagonal, row[j], row[j+1]) + 1
			}
			diagonal, row[j+1] = row[j+1], step
		}
	}
	return row[len(b)]
}

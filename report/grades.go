package report

// The grades of evidence, from the best:
//
//	A  a system of record: what a source keeps of itself, what a guard proved, what was measured
//	B  structured, but not from a system of record: only seen while watching, or by an actor of whom it is not known whether it is a person
//	C  read out of text
//	D  somebody's word: a mark, an override

// sawAs adds evidence with a grade.
func (i *Item) sawAs(grade, source, text string, lines ...int) {
	i.saw(source, text, lines...)
	i.Evidence[len(i.Evidence)-1].Grade = grade
}

// grade returns the grade of what a source of alarms tells.
func (a *alarmAccount) grade() string {
	if a == nil || a.Line == 0 || a.Error != "" {
		return "B"
	}
	return "A"
}

// gradeItems sets the items' grades: an item is no better than the weakest of what it rests on.
func gradeItems(parts []PartScore) {
	for p := range parts {
		for i := range parts[p].Items {
			it := &parts[p].Items[i]
			it.Grade = ""
			for _, e := range it.Evidence {
				if len(e.Grade) == 1 && e.Grade > it.Grade {
					it.Grade = e.Grade
				}
			}
		}
	}
}

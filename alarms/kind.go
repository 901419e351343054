package alarms

// SourceKind is one sort of alarm source, such as prometheus. Kinds are listed by hand where the program is put together.
type SourceKind struct {
	Name    string // as written in a scenario: "prometheus"
	Summary string // one line, shown by `gameday kinds`
	// New returns a pointer to a struct with hcl tags.
	New func() Config
	// Open makes a source from a Config that New returned. It contacts nobody. noise are the labels of alarms to report
	// although nobody expects them; nil for none.
	Open func(name string, c Config, noise map[string]string) (Source, error)
}

// Config holds the settings of one source, decoded from a scenario.
type Config interface {
	// Validate reports every mistake that can be seen without contacting the source, joined, each a *faults.FieldError.
	Validate() error
}

package responders

// SourceKind is one sort of system that pages people, such as desk. Kinds are listed by hand where the program is put together.
type SourceKind struct {
	Name    string // as written in a scenario: "desk"
	Summary string // one line, shown by `gameday kinds`
	// Tells are the kinds of event beside those of pages that the source sees whenever they happen: not having seen one is then a
	// sign that it did not. Nil for one that knows of pages alone.
	Tells []Kind
	// Receives says that its sources are Receivers: alarms can be sent to them.
	Receives bool
	// New returns a pointer to a struct with hcl tags.
	New func() Config
	// Open makes a source from a Config that New returned. It contacts nobody.
	Open func(name string, c Config) (Source, error)
}

// Teller is implemented by a Config whose settings decide what its source tells of beside pages, in place of SourceKind.Tells.
type Teller interface {
	Tells() []Kind
}

// Config holds the settings of one source, decoded from a scenario.
type Config interface {
	// Validate reports every mistake that can be seen without contacting the source, joined, each a *faults.FieldError.
	Validate() error
}

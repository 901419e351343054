package faults

import "context"

type noteKey struct{}

// WithNote returns a context with which Note calls take.
func WithNote(ctx context.Context, take func(text string)) context.Context {
	return context.WithValue(ctx, noteKey{}, take)
}

// Note says of a Revert that succeeds what people must know all the same: nothing of the fault is left that could be undone, and
// something of it may be there that nobody can. The text is a clause. Without somebody to take it, it is lost.
func Note(ctx context.Context, text string) {
	if take, ok := ctx.Value(noteKey{}).(func(string)); ok {
		take(text)
	}
}

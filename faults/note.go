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

type waitingKey struct{}

// WithWaiting returns a context with which Waiting calls tell.
func WithWaiting(ctx context.Context, tell func(why string)) context.Context {
	return context.WithValue(ctx, waitingKey{}, tell)
}

// Waiting says of a Revert that goes on what it waits for: an API server that is away, controllers that have not looked yet. The text is
// a clause. Without somebody to tell, it is lost. It may be called from several goroutines.
func Waiting(ctx context.Context, why string) {
	if tell, ok := ctx.Value(waitingKey{}).(func(string)); ok {
		tell(why)
	}
}

type labGoneKey struct{}

// WithLabGone returns a context for reverting what a lab has left on this machine after everybody in it has ended: its
// nodes, networks and processes are not there, and this machine must not be taken for them.
func WithLabGone(ctx context.Context) context.Context {
	return context.WithValue(ctx, labGoneKey{}, true)
}

// LabGone reports whether the entry that is reverted is that of a lab that is gone.
func LabGone(ctx context.Context) bool {
	gone, _ := ctx.Value(labGoneKey{}).(bool)
	return gone
}

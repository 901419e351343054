// Package sli computes service level indicators from windows of traffic and evaluates expressions over them, with
// three values: what has no data is neither true nor false.
package sli

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// Expr is an expression over SLIs, free of the language it was written in: it is compiled by scenarios, stands in the
// record, and is evaluated by the conductor each second and by report on the whole span. Exactly one of SLI, Const, Bool
// and Op is set.
type Expr struct {
	SLI    string   `json:"sli,omitempty"`    // an indicator: "p95", or an own one: "queue_depth"
	Stream string   `json:"stream,omitempty"` // with SLI: one traffic stream; empty is all of them
	Const  *float64 `json:"const,omitempty"`
	Bool   *bool    `json:"bool,omitempty"`
	Op     string   `json:"op,omitempty"` // one of the operators and functions of Ops
	Args   []*Expr  `json:"args,omitempty"`
}

// Ops lists the operators and functions, with how many arguments each takes; 0 means one or more.
var Ops = map[string]int{
	"<": 2, "<=": 2, ">": 2, ">=": 2, "==": 2, "!=": 2,
	"&&": 2, "||": 2, "!": 1,
	"+": 2, "-": 2, "*": 2, "/": 2, "%": 2, "neg": 1,
	"?:": 3, "min": 0, "max": 0, "abs": 1, "ceil": 1, "floor": 1,
}

// Readings answers what an indicator is at the moment, or over a span. ok is false without data.
type Readings interface {
	Read(stream, name string) (value float64, ok bool)
}

// Value is a number, a truth value, or unknown.
type Value struct {
	Known  bool
	IsBool bool
	Number float64
	Truth  bool
}

// Number returns a known number.
func Number(f float64) Value {
	if math.IsNaN(f) {
		return Value{}
	}
	return Value{Known: true, Number: f}
}

// Truth returns a known truth value.
func Truth(b bool) Value { return Value{Known: true, IsBool: true, Truth: b} }

// Eval computes the expression. Unknown spreads, as in Kleene's logic: false && unknown is false, true || unknown is
// true, everything else with an unknown part is unknown. Dividing by zero is unknown.
func (e *Expr) Eval(r Readings) Value {
	switch {
	case e.SLI != "":
		if v, ok := r.Read(e.Stream, e.SLI); ok {
			return Number(v)
		}
		return Value{}
	case e.Const != nil:
		return Number(*e.Const)
	case e.Bool != nil:
		return Truth(*e.Bool)
	}
	args := make([]Value, len(e.Args))
	for i, a := range e.Args {
		args[i] = a.Eval(r)
	}
	return apply(e.Op, args)
}

func apply(op string, a []Value) Value {
	switch op {
	case "&&", "||":
		return logic(op == "||", a[0], a[1])
	case "?:":
		if !a[0].Known {
			return Value{}
		}
		if a[0].Truth {
			return a[1]
		}
		return a[2]
	}
	for _, v := range a {
		if !v.Known {
			return Value{}
		}
	}
	switch op {
	case "!":
		return Truth(!a[0].Truth)
	case "neg":
		return Number(-a[0].Number)
	case "abs":
		return Number(math.Abs(a[0].Number))
	case "ceil":
		return Number(math.Ceil(a[0].Number))
	case "floor":
		return Number(math.Floor(a[0].Number))
	case "min", "max":
		v := a[0].Number
		for _, w := range a[1:] {
			if op == "min" {
				v = math.Min(v, w.Number)
			} else {
				v = math.Max(v, w.Number)
			}
		}
		return Number(v)
	}
	return binary(op, a[0], a[1])
}

// logic computes a && b, or a || b when decisive is true: one side that is decisive settles it.
func logic(decisive bool, a, b Value) Value {
	if (a.Known && a.Truth == decisive) || (b.Known && b.Truth == decisive) {
		return Truth(decisive)
	}
	if !a.Known || !b.Known {
		return Value{}
	}
	return Truth(!decisive)
}

func binary(op string, a, b Value) Value {
	x, y := a.Number, b.Number
	switch op {
	case "==", "!=":
		equal := x == y
		if a.IsBool || b.IsBool {
			equal = a.IsBool == b.IsBool && a.Truth == b.Truth
		}
		return Truth(equal == (op == "=="))
	case "<":
		return Truth(x < y)
	case "<=":
		return Truth(x <= y)
	case ">":
		return Truth(x > y)
	case ">=":
		return Truth(x >= y)
	case "+":
		return Number(x + y)
	case "-":
		return Number(x - y)
	case "*":
		return Number(x * y)
	case "/":
		if y == 0 {
			return Value{}
		}
		return Number(x / y)
	case "%":
		if y == 0 {
			return Value{}
		}
		return Number(math.Mod(x, y))
	}
	return Value{}
}

// Check reports an expression that cannot be evaluated: an unknown operator, a wrong number of arguments, or a node
// that is nothing or several things at once. Expressions read from a record are checked before they are used.
func (e *Expr) Check() error {
	set := 0
	for _, b := range []bool{e.SLI != "", e.Const != nil, e.Bool != nil, e.Op != ""} {
		if b {
			set++
		}
	}
	if set != 1 {
		return errors.New("an expression must be exactly one of sli, const, bool and op")
	}
	if e.Op == "" {
		return nil
	}
	n, ok := Ops[e.Op]
	if !ok {
		return fmt.Errorf("unknown operator %q", e.Op)
	}
	if len(e.Args) == 0 || (n > 0 && len(e.Args) != n) {
		return fmt.Errorf("operator %q with %d arguments", e.Op, len(e.Args))
	}
	for _, a := range e.Args {
		if a == nil {
			return fmt.Errorf("operator %q with an empty argument", e.Op)
		}
		if err := a.Check(); err != nil {
			return err
		}
	}
	return nil
}

// SLIs returns every indicator the expression reads, as stream and name, in order of appearance and once each.
func (e *Expr) SLIs() [][2]string {
	var out [][2]string
	seen := map[[2]string]bool{}
	var walk func(*Expr)
	walk = func(e *Expr) {
		if e.SLI != "" {
			k := [2]string{e.Stream, e.SLI}
			if !seen[k] {
				seen[k] = true
				out = append(out, k)
			}
		}
		for _, a := range e.Args {
			walk(a)
		}
	}
	walk(e)
	return out
}

// Comparison returns the parts of an expression of the form "indicator op constant" (or the other way round, turned
// about), so that a report can print what was measured beside its limit. ok is false for any other form.
func (e *Expr) Comparison() (stream, name, op string, limit float64, ok bool) {
	turned := map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<="}
	if turned[e.Op] == "" || len(e.Args) != 2 {
		return "", "", "", 0, false
	}
	a, b, op := e.Args[0], e.Args[1], e.Op
	if a.Const != nil {
		a, b, op = b, a, turned[op]
	}
	if a.SLI == "" || b.Const == nil {
		return "", "", "", 0, false
	}
	return a.Stream, a.SLI, op, *b.Const, true
}

// String prints the expression as it would be written in a scenario.
func (e *Expr) String() string {
	switch {
	case e.SLI != "" && e.Stream != "":
		return "sli." + e.Stream + "." + e.SLI
	case e.SLI != "":
		return "sli." + e.SLI
	case e.Const != nil:
		return strconv.FormatFloat(*e.Const, 'g', -1, 64)
	case e.Bool != nil:
		return strconv.FormatBool(*e.Bool)
	}
	switch {
	case e.Op == "neg":
		return "-" + e.Args[0].String()
	case e.Op == "!":
		return "!" + e.Args[0].String()
	case e.Op == "?:":
		return "(" + e.Args[0].String() + " ? " + e.Args[1].String() + " : " + e.Args[2].String() + ")"
	case Ops[e.Op] == 2:
		return e.side(0) + " " + e.Op + " " + e.side(1)
	}
	s := e.Op + "("
	for i, a := range e.Args {
		if i > 0 {
			s += ", "
		}
		s += a.String()
	}
	return s + ")"
}

// side prints one side of a binary operator, in parentheses when it is a binary operator itself.
func (e *Expr) side(i int) string {
	a := e.Args[i]
	if Ops[a.Op] == 2 && a.Op != "" {
		return "(" + a.String() + ")"
	}
	return a.String()
}

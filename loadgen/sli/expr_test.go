package sli

import (
	"slices"
	"testing"
)

type fixed map[string]float64

func (f fixed) Read(stream, name string) (float64, bool) {
	v, ok := f[stream+"."+name]
	return v, ok
}

func of(name string) *Expr          { return &Expr{SLI: name} }
func num(f float64) *Expr           { return &Expr{Const: &f} }
func truth(b bool) *Expr            { return &Expr{Bool: &b} }
func op(o string, a ...*Expr) *Expr { return &Expr{Op: o, Args: a} }

func TestEval(t *testing.T) {
	r := fixed{".p95": 0.4, ".error_ratio": 0.02, "shop.rate": 40}
	unknown := of("nothing")
	for _, test := range []struct {
		e    *Expr
		want Value
		text string
	}{
		{op("<", of("p95"), num(0.5)), Truth(true), "sli.p95 < 0.5"},
		{op("&&", op("<", of("p95"), num(0.5)), op("<", of("error_ratio"), num(0.01))), Truth(false),
			"(sli.p95 < 0.5) && (sli.error_ratio < 0.01)"},
		{op("&&", truth(false), unknown), Truth(false), "false && sli.nothing"},
		{op("&&", truth(true), unknown), Value{}, "true && sli.nothing"},
		{op("||", unknown, truth(true)), Truth(true), "sli.nothing || true"},
		{op("||", unknown, truth(false)), Value{}, "sli.nothing || false"},
		{op("!", unknown), Value{}, "!sli.nothing"},
		{op("<", unknown, num(1)), Value{}, "sli.nothing < 1"},
		{op("/", num(1), num(0)), Value{}, "1 / 0"},
		{op("%", num(7), num(4)), Number(3), "7 % 4"},
		{op("?:", op(">", &Expr{SLI: "rate", Stream: "shop"}, num(30)), num(1), unknown), Number(1),
			"(sli.shop.rate > 30 ? 1 : sli.nothing)"},
		{op("max", num(1), of("p95"), num(0.2)), Number(1), "max(1, sli.p95, 0.2)"},
		{op("min", num(1), op("neg", num(2))), Number(-2), "min(1, -2)"},
		{op("==", truth(true), num(1)), Truth(false), "true == 1"},
		{op("!=", num(2), num(1)), Truth(true), "2 != 1"},
		{op("ceil", num(1.2)), Number(2), "ceil(1.2)"},
		{op("-", op("abs", num(-3)), op("floor", num(1.9))), Number(2), "abs(-3) - floor(1.9)"},
	} {
		if err := test.e.Check(); err != nil {
			t.Errorf("%s: %v", test.text, err)
		}
		if got := test.e.Eval(r); got != test.want {
			t.Errorf("%s is %+v, want %+v", test.text, got, test.want)
		}
		if got := test.e.String(); got != test.text {
			t.Errorf("printed as %s, want %s", got, test.text)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	for _, bad := range []*Expr{
		{}, {SLI: "p95", Op: "<"}, op("?", num(1)), op("<", num(1)), op("max"), op("!", nil), op("&&", truth(true), &Expr{}),
	} {
		if bad.Check() == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestComparisonAndSLIs(t *testing.T) {
	e := op(">", num(0.5), of("p95"))
	stream, name, o, limit, ok := e.Comparison()
	if !ok || stream != "" || name != "p95" || o != "<" || limit != 0.5 {
		t.Errorf("%q %s %s %g %t", stream, name, o, limit, ok)
	}
	if _, _, _, _, ok := op("<", of("p95"), of("p50")).Comparison(); ok {
		t.Error("two indicators are a comparison with a constant")
	}
	both := op("&&", e, op("<", op("+", of("p95"), of("p50")), num(1)))
	if got := both.SLIs(); !slices.Equal(got, [][2]string{{"", "p95"}, {"", "p50"}}) {
		t.Errorf("the indicators are %v", got)
	}
}

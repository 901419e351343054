package scenarios

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// functions returns what expressions may call: pure ones, file() below the scenario's folder, and secret().
func (l *loader) functions() map[string]function.Function {
	return map[string]function.Function{
		"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "floor": stdlib.FloorFunc, "max": stdlib.MaxFunc, "min": stdlib.MinFunc,
		"chomp": stdlib.ChompFunc, "format": stdlib.FormatFunc, "formatlist": stdlib.FormatListFunc, "indent": stdlib.IndentFunc,
		"join": stdlib.JoinFunc, "lower": stdlib.LowerFunc, "upper": stdlib.UpperFunc, "title": stdlib.TitleFunc,
		"regex": stdlib.RegexFunc, "regexall": stdlib.RegexAllFunc, "replace": stdlib.ReplaceFunc, "split": stdlib.SplitFunc,
		"strrev": stdlib.ReverseFunc, "substr": stdlib.SubstrFunc, "trim": stdlib.TrimFunc, "trimprefix": stdlib.TrimPrefixFunc,
		"trimspace": stdlib.TrimSpaceFunc, "trimsuffix": stdlib.TrimSuffixFunc,
		"coalesce": stdlib.CoalesceFunc, "coalescelist": stdlib.CoalesceListFunc, "compact": stdlib.CompactFunc,
		"concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc, "distinct": stdlib.DistinctFunc,
		"element": stdlib.ElementFunc, "flatten": stdlib.FlattenFunc, "keys": stdlib.KeysFunc, "length": stdlib.LengthFunc,
		"lookup": stdlib.LookupFunc, "merge": stdlib.MergeFunc, "range": stdlib.RangeFunc, "reverse": stdlib.ReverseListFunc,
		"slice": stdlib.SliceFunc, "sort": stdlib.SortFunc, "values": stdlib.ValuesFunc, "zipmap": stdlib.ZipmapFunc,
		"csvdecode": stdlib.CSVDecodeFunc, "urlencode": urlencodeFunc, "base64encode": base64Func,
		"jsondecode": stdlib.JSONDecodeFunc, "jsonencode": stdlib.JSONEncodeFunc,
		"tonumber": stdlib.MakeToFunc(cty.Number), "tostring": stdlib.MakeToFunc(cty.String), "tobool": stdlib.MakeToFunc(cty.Bool),
		"seconds": secondsFunc,
		"file":    l.fileFunc(),
		"secret":  l.secretFunc(),
	}
}

// urlencodeFunc writes a text as it may stand in the query of a URL.
var urlencodeFunc = textFunc("Writes a text as it may stand in the query of a URL.", url.QueryEscape)

// base64Func writes the bytes of a text in base64.
var base64Func = textFunc("Writes the bytes of a text in base64.", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) })

func textFunc(description string, f func(string) string) function.Function {
	return function.New(&function.Spec{
		Description: description,
		Params:      []function.Parameter{{Name: "text", Type: cty.String}},
		Type:        function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return cty.StringVal(f(args[0].AsString())), nil
		},
	})
}

// secondsFunc turns a duration such as "300ms" into seconds, the unit of latency indicators.
var secondsFunc = function.New(&function.Spec{
	Description: "Turns a duration such as \"300ms\" into seconds.",
	Params:      []function.Parameter{{Name: "duration", Type: cty.String}},
	Type:        function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		d, err := time.ParseDuration(args[0].AsString())
		if err != nil {
			return cty.NilVal, function.NewArgErrorf(0, "%q is not a duration; write it like \"300ms\" or \"1.5s\"", args[0].AsString())
		}
		return cty.NumberFloatVal(d.Seconds()), nil
	},
})

// maxFile bounds what file() reads.
const maxFile = 1 << 20

// fileFunc reads a text file in the scenario's folder or below. os.Root refuses every way out: "..", absolute paths,
// and symbolic links that lead elsewhere.
func (l *loader) fileFunc() function.Function {
	return function.New(&function.Spec{
		Description: "Reads a text file below the scenario's folder.",
		Params:      []function.Parameter{{Name: "path", Type: cty.String}},
		Type:        function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			text, err := readBelow(l.dir, args[0].AsString(), "file()")
			if err != nil {
				return cty.NilVal, function.NewArgError(0, err)
			}
			l.remember(args[0].AsString(), text)
			return cty.StringVal(text), nil
		},
	})
}

// remember keeps the digest of a file that the scenario's meaning depends on.
func (l *loader) remember(name, text string) {
	if l.file.Reads == nil {
		l.file.Reads = map[string]string{}
	}
	sum := sha256.Sum256([]byte(text))
	l.file.Reads[name] = hex.EncodeToString(sum[:])
}

// readBelow reads a text file below a folder for whom it is named.
func readBelow(dir, path, who string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("opening the scenario's folder: %w", err)
	}
	defer root.Close()
	if filepath.IsAbs(path) {
		return "", fmt.Errorf("%q is an absolute path; %s reads only below the scenario's folder", path, who)
	}
	f, err := root.Open(path)
	if err != nil {
		if strings.Contains(err.Error(), "escapes") {
			return "", fmt.Errorf("%q leads out of the scenario's folder; %s reads only below it", path, who)
		}
		return "", fmt.Errorf("%q cannot be read: %w", path, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("%q is not a regular file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("%q cannot be read: %w", path, err)
	}
	if len(b) > maxFile {
		return "", fmt.Errorf("%q is larger than %d bytes", path, maxFile)
	}
	if !utf8.Valid(b) {
		return "", fmt.Errorf("%q is not UTF-8 text", path)
	}
	return string(b), nil
}

// secretMark marks values that come from secret().
type secretMark struct{}

// secretFunc reads one environment variable into a marked value. A variable that is not set gives the empty string:
// validate must work where secrets are not at hand, and run refuses to start without them.
func (l *loader) secretFunc() function.Function {
	return function.New(&function.Spec{
		Description: "Reads one environment variable; its value is never printed or recorded.",
		Params:      []function.Parameter{{Name: "name", Type: cty.String}},
		Type:        function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			name := args[0].AsString()
			if name == "" || strings.ContainsAny(name, "= \x00") {
				return cty.NilVal, function.NewArgErrorf(0, "%q is not the name of an environment variable", name)
			}
			return cty.StringVal(l.secret(name)).Mark(secretMark{}), nil
		},
	})
}

// secret reads and remembers one secret.
func (l *loader) secret(name string) string {
	for _, s := range l.secrets {
		if s.Name == name {
			return s.value
		}
	}
	v := ""
	if l.opts.Getenv != nil {
		v = l.opts.Getenv(name)
	}
	l.secrets = append(l.secrets, Secret{Name: name, Set: v != "", value: v})
	return v
}

// redact replaces the secrets in a text, as they are and as %q writes them; the longest first, as one may be part of another.
func redact(secrets []Secret, text string) string {
	sorted := slices.SortedStableFunc(slices.Values(secrets), func(a, b Secret) int { return len(b.value) - len(a.value) })
	var pairs []string
	for _, s := range sorted {
		if utf8.RuneCountInString(s.value) < 4 {
			continue
		}
		name := "[secret " + s.Name + "]"
		pairs = append(pairs, s.value, name)
		if quoted := strconv.Quote(s.value); quoted != `"`+s.value+`"` {
			pairs = append(pairs, quoted[1:len(quoted)-1], name)
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// redacted takes secrets out of diagnostics: out of their texts, and with the values that hcl would print beside a source
// line. The source line itself shows only the name.
func (l *loader) redacted(in hcl.Diagnostics) hcl.Diagnostics {
	if !slices.ContainsFunc(l.secrets, func(s Secret) bool { return s.Set }) {
		return in
	}
	out := make(hcl.Diagnostics, len(in))
	for i, d := range in {
		c := *d
		c.Summary, c.Detail = redact(l.secrets, d.Summary), redact(l.secrets, d.Detail)
		c.Expression, c.EvalContext = nil, nil
		out[i] = &c
	}
	return out
}

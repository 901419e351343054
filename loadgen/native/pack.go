package native

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"gameday/loadgen"
)

// named returns the paths of files in a stream, for reading and for changing.
func named(spec *loadgen.Spec) []*string {
	all := []*string{&spec.Wire.TLS.CA, &spec.Wire.TLS.Cert, &spec.Wire.TLS.Key}
	for _, f := range spec.Flows {
		for i := range f.Requests {
			if c := f.Requests[i].Call; c != nil {
				all = append(all, &c.Descriptor)
			}
		}
	}
	var out []*string
	for _, path := range all {
		if *path != "" {
			out = append(out, path)
		}
	}
	return out
}

// Pack reads the certificates, keys and descriptors that the stream names.
func (e *Engine) Pack(_ context.Context, spec loadgen.Spec) (loadgen.Spec, error) {
	spec.Files = map[string][]byte{}
	for _, path := range named(&spec) {
		b, err := os.ReadFile(*path)
		if err != nil {
			return spec, fmt.Errorf("packing traffic %q: %w", spec.Stream, err)
		}
		spec.Files[*path] = b
	}
	return spec, nil
}

// unpack writes the files of a packed stream into its folder, and names them there. Nothing of the packed stream is
// changed that others share.
func unpack(spec loadgen.Spec) (loadgen.Spec, error) {
	if len(spec.Files) == 0 {
		return spec, nil
	}
	spec.Flows = cloned(spec.Flows)
	written := map[string]string{}
	for i, path := range named(&spec) {
		to, ok := written[*path]
		if !ok {
			to = filepath.Join(spec.Dir, "file-"+strconv.Itoa(i))
			if err := os.WriteFile(to, spec.Files[*path], 0o600); err != nil {
				return spec, fmt.Errorf("unpacking traffic %q: %w", spec.Stream, err)
			}
			written[*path] = to
		}
		*path = to
	}
	spec.Files = nil
	return spec, nil
}

// cloned copies flows as deep as the paths in them.
func cloned(flows []loadgen.Flow) []loadgen.Flow {
	out := append([]loadgen.Flow(nil), flows...)
	for i := range out {
		out[i].Requests = append([]loadgen.Request(nil), out[i].Requests...)
		for k := range out[i].Requests {
			if c := out[i].Requests[k].Call; c != nil {
				call := *c
				out[i].Requests[k].Call = &call
			}
		}
	}
	return out
}

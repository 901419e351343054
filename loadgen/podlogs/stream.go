package podlogs

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"

	"gameday/loadgen"
)

const (
	// MaxStream bounds a stream as it is kept: a Secret holds 1 MiB, and the token is in it too.
	MaxStream = 1<<20 - 4<<10
	// maxUnpacked bounds it in memory.
	maxUnpacked = 256 << 20
)

// keptStream is a stream as it is kept in a Secret. Files are beside the rest, since as text they would not get smaller.
type keptStream struct {
	Version string
	Spec    []byte
	Files   map[string][]byte
}

// PackStream makes of a packed stream what fits into a Secret, and fails when it does not, with its size. All runners get the same.
func PackStream(version string, spec loadgen.Spec) ([]byte, error) {
	k := keptStream{Version: version, Files: spec.Files}
	spec.Files, spec.Segment, spec.Sharing = nil, loadgen.Segment{}, 1 // a pod is a machine of its own
	var err error
	if k.Spec, err = json.Marshal(spec); err != nil {
		return nil, fmt.Errorf("packing traffic %q: %w", spec.Stream, err)
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(k); err != nil {
		return nil, fmt.Errorf("packing traffic %q: %w", spec.Stream, err)
	}
	out := packed(b.Bytes())
	if len(out) > MaxStream {
		return nil, fmt.Errorf("what its runners are to send comes to %d KiB, compressed, with all that it reads from files, and a Secret, by which they get it when they report by "+
			"their pods' logs, holds %d KiB: let it read less, or let the runners reach a collector, where there is no such limit", len(out)>>10, MaxStream>>10)
	}
	return out, nil
}

// UnpackStream returns the version of gameday that has packed a stream, and the stream for one segment.
func UnpackStream(b []byte, segment loadgen.Segment) (version string, spec loadgen.Spec, err error) {
	var k keptStream
	b, err = unpacked(b, maxUnpacked)
	if err == nil {
		err = gob.NewDecoder(bytes.NewReader(b)).Decode(&k)
	}
	if err == nil {
		err = json.Unmarshal(k.Spec, &spec)
	}
	if err != nil {
		return "", loadgen.Spec{}, fmt.Errorf("reading what is to be sent: %w", err)
	}
	spec.Files, spec.Segment = k.Files, segment
	return k.Version, spec, nil
}

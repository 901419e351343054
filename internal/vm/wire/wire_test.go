package wire

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestFramesComeBack sends any frames and reads the same ones, then the end.
func TestFramesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		frames := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Frame {
			return Frame{Kind: Kind(rapid.ByteRange(byte(KindHello), byte(KindExit)).Draw(t, "kind")),
				Command: rapid.Uint32().Draw(t, "command"), Data: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data")}
		})).Draw(t, "frames")
		var line bytes.Buffer
		for _, f := range frames {
			if err := Write(&line, f); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range frames {
			got, err := Read(&line)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("another frame came back (-sent +read):\n%s", diff)
			}
		}
		if _, err := Read(&line); err != io.EOF {
			t.Fatalf("after the last frame: %v, want the end", err)
		}
	})
}

// TestFramesLimits holds both ends to the limit, and knows a torn frame from the end.
func TestFramesLimits(t *testing.T) {
	if err := Write(io.Discard, Frame{Kind: KindStdin, Data: make([]byte, MaxData+1)}); err == nil {
		t.Error("a frame above the limit was written")
	}
	for _, line := range []string{
		"\xff\xff\xff\xff\x00\x00\x00\x01\x03",  // too long
		"\x00\x00\x00\x01\x00\x00\x00\x01\x00a", // no such kind
		"\x00\x00\x00\x01\x00\x00\x00\x01\x09a", // no such kind
	} {
		if f, err := Read(bytes.NewReader([]byte(line))); err == nil {
			t.Errorf("%x was read as %v", line, f)
		}
	}
	var line bytes.Buffer
	if err := Write(&line, Frame{Kind: KindStdout, Command: 7, Data: []byte("hello")}); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < line.Len(); n++ {
		if _, err := Read(bytes.NewReader(line.Bytes()[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a frame torn at byte %d: %v", n, err)
		}
	}
}

package native

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// decompress undoes a Content-Encoding, of a body that is looked at.
func decompress(body []byte, encoding string) ([]byte, error) {
	var r io.Reader
	var err error
	switch encoding {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate": // zlib, as the standard has it; or bare, as some servers do
		if r, err = zlib.NewReader(bytes.NewReader(body)); err != nil {
			r, err = flate.NewReader(bytes.NewReader(body)), nil
		}
	case "br":
		r = brotli.NewReader(bytes.NewReader(body))
	case "zstd":
		var d *zstd.Decoder
		if d, err = zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1)); err == nil {
			defer d.Close()
			r = d
		}
	default:
		return nil, fmt.Errorf("the body is encoded as %q, which cannot be read here", encoding)
	}
	if err != nil {
		return nil, fmt.Errorf("decompressing the body (%s): %w", encoding, err)
	}
	out, err := io.ReadAll(io.LimitReader(r, keptBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("decompressing the body (%s): %w", encoding, err)
	case len(out) > keptBody:
		return nil, errBodyTooLong
	}
	return out, nil
}

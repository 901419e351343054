package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"
)

// RemoteWrite sends the metrics to a receiver of Prometheus' remote write protocol, version 1.0: Prometheus itself, Mimir,
// Thanos, VictoriaMetrics. All samples have the time of the run's end. The same metrics may be sent again: samples that
// are there already are accepted.
//
// The protocol: https://prometheus.io/docs/specs/prw/remote_write_spec/.
func RemoteWrite(ctx context.Context, d Destination, m *Metrics) error {
	s, err := newSender(d)
	if err != nil {
		return err
	}
	defer s.close()
	_, _, err = s.send(ctx, request{method: http.MethodPost, url: d.URL, body: snappy.Encode(nil, writeRequest(m)),
		passing: busy, header: http.Header{
			"Content-Encoding":                  {"snappy"},
			"Content-Type":                      {"application/x-protobuf"},
			"X-Prometheus-Remote-Write-Version": {"0.1.0"},
		}})
	var no *refusal
	if errors.As(err, &no) {
		return fmt.Errorf("%w%s", err, refusedSample(no, m))
	}
	return err
}

// refusedSample says in words why a receiver refuses samples, where that is known.
func refusedSample(no *refusal, m *Metrics) string {
	at := m.At.UTC().Format("2006-01-02 15:04:05 UTC")
	says := func(words ...string) bool {
		for _, w := range words {
			if bytes.Contains(bytes.ToLower(no.body), []byte(w)) {
				return true
			}
		}
		return false
	}
	switch {
	case no.status/100 != 4:
		return ""
	case says("duplicate sample"):
		return ". It has other values for the same run already, from before it was judged anew; they cannot be replaced " +
			"without deleting them there"
	case says("out of order", "out-of-order", "out of bounds", "too old", "too far in the past"):
		return fmt.Sprintf(". The samples have the time of the run's end, %s, and that is too old for it: it takes no samples "+
			"older than the newest it has of a series, or than an hour or so. Export a run soon after its end, or let it take "+
			"older ones (Prometheus: storage.tsdb.out_of_order_time_window)", at)
	}
	return ""
}

// The fields of prometheus.WriteRequest and what is in it.
const (
	requestSeries, requestMetadata                                  = 1, 3
	seriesLabels, seriesSamples                                     = 1, 2
	labelName, labelValue                                           = 1, 2
	sampleValue, sampleTime                                         = 1, 2
	metadataType, metadataFamily, metadataHelp, metadataUnit        = 1, 2, 4, 5
	metadataGauge                                            uint64 = 2
)

// writeRequest encodes the metrics as a prometheus.WriteRequest.
func writeRequest(m *Metrics) []byte {
	var out []byte
	for _, f := range m.Families {
		for _, s := range f.Samples {
			series := message(nil, seriesLabels, labelOf("__name__", f.Name)) // the first of all by its bytes
			for _, l := range s.Labels {
				if l.Value != "" { // an empty label is none
					series = message(series, seriesLabels, labelOf(l.Name, l.Value))
				}
			}
			var sample []byte
			sample = protowire.AppendTag(sample, sampleValue, protowire.Fixed64Type)
			sample = protowire.AppendFixed64(sample, math.Float64bits(s.Value))
			sample = protowire.AppendTag(sample, sampleTime, protowire.VarintType)
			sample = protowire.AppendVarint(sample, uint64(m.At.UnixMilli()))
			out = message(out, requestSeries, message(series, seriesSamples, sample))
		}
	}
	for _, f := range m.Families {
		var meta []byte
		meta = protowire.AppendTag(meta, metadataType, protowire.VarintType)
		meta = protowire.AppendVarint(meta, metadataGauge)
		meta = message(meta, metadataFamily, []byte(f.Name))
		meta = message(meta, metadataHelp, []byte(f.Help))
		if f.Unit != "" {
			meta = message(meta, metadataUnit, []byte(f.Unit))
		}
		out = message(out, requestMetadata, meta)
	}
	return out
}

func labelOf(name, value string) []byte {
	return message(message(nil, labelName, []byte(name)), labelValue, []byte(value))
}

// message appends a field of bytes, as texts and messages within messages are.
func message(to []byte, field protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, field, protowire.BytesType), content)
}

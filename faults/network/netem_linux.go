package network

import (
	"encoding/binary"
	"math"

	"github.com/mdlayher/netlink"
)

// Attributes of TCA_OPTIONS for netem, behind struct tc_netem_qopt (linux/pkt_sched.h).
const (
	netemCorr      = 1  // struct tc_netem_corr: of delay, loss and duplication
	netemDist      = 2  // the table of a distribution, 16 bits an element
	netemReorder   = 3  // struct tc_netem_reorder: probability, correlation
	netemCorrupt   = 4  // struct tc_netem_corrupt: probability, correlation
	netemLatency64 = 10 // nanoseconds, signed
	netemJitter64  = 11
)

// encode returns struct tc_netem_qopt (latency, limit, loss, gap, duplicate, jitter) and the attributes that are used.
// Times stand in it twice: in ticks for old kernels, and in nanoseconds, which newer ones prefer.
func (n netem) encode() ([]byte, error) {
	ticks := func(d int64) uint32 { return uint32(min(d/int64(tickLength), math.MaxUint32)) }
	var b []byte
	for _, v := range []uint32{ticks(int64(n.delay)), netemLimit, share(n.loss), n.gap, share(n.duplicate),
		ticks(int64(n.jitter))} {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	e := netlink.NewAttributeEncoder()
	if n.delay > 0 {
		e.Int64(netemLatency64, int64(n.delay))
	}
	if n.jitter > 0 {
		e.Int64(netemJitter64, int64(n.jitter))
	}
	if n.delayCorrelation > 0 || n.lossCorrelation > 0 || n.dupCorrelation > 0 {
		e.Bytes(netemCorr, words(share(n.delayCorrelation), share(n.lossCorrelation), share(n.dupCorrelation)))
	}
	if n.distribution != nil && n.jitter > 0 {
		var table []byte
		for _, v := range n.distribution {
			table = binary.NativeEndian.AppendUint16(table, uint16(v))
		}
		e.Bytes(netemDist, table)
	}
	if n.reorder > 0 {
		e.Bytes(netemReorder, words(share(n.reorder), share(n.reoCorrelation)))
	}
	if n.corrupt > 0 {
		e.Bytes(netemCorrupt, words(share(n.corrupt), share(n.corCorrelation)))
	}
	attributes, err := e.Encode()
	return append(b, attributes...), err
}

func words(list ...uint32) []byte {
	var b []byte
	for _, v := range list {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

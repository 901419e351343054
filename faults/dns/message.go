package dns

import "encoding/binary"

// Parts of a message, RFC 1035 section 4.
const (
	headerSize  = 12
	fixedSize   = 4 // type and class after a question's name
	flagQR      = 0x8000
	maskOpcode  = 0x7800
	flagRD      = 0x0100
	flagRA      = 0x0080
	maskRcode   = 0x000f
	typeA       = 1
	classIN     = 1
	typeOPT     = 41
	ednsPayload = 1232 // bytes that fit any path (DNS flag day 2020)
)

// rcodes are the response codes of the actions that answer.
var rcodes = map[string]uint16{servfail: 2, nxdomain: 3, refused: 5}

// question is what a query asks for.
type question struct {
	name wireName
	end  int  // offset after its name, type and class
	edns bool // the next record is EDNS's OPT (RFC 6891)
}

// readQuestion reads the question of an ordinary query. It reports false for anything else: responses, other opcodes,
// none or several questions, and names that are cut off, too long, or compressed, which a first name cannot be.
func readQuestion(msg []byte) (question, bool) {
	if len(msg) < headerSize {
		return question{}, false
	}
	flags, count := binary.BigEndian.Uint16(msg[2:]), binary.BigEndian.Uint16(msg[4:])
	if flags&(flagQR|maskOpcode) != 0 || count != 1 {
		return question{}, false
	}
	at := headerSize
	for {
		if at >= len(msg) || msg[at] > maxLabel {
			return question{}, false
		}
		n := int(msg[at])
		at += 1 + n
		if at-headerSize > maxName {
			return question{}, false
		}
		if n == 0 {
			break
		}
	}
	if at+fixedSize > len(msg) {
		return question{}, false
	}
	q := question{name: lower(msg[headerSize:at]), end: at + fixedSize}
	if binary.BigEndian.Uint16(msg[10:]) > 0 && binary.BigEndian.Uint32(msg[6:]) == 0 && len(msg) >= q.end+3 {
		q.edns = msg[q.end] == 0 && binary.BigEndian.Uint16(msg[q.end+1:]) == typeOPT
	}
	return q, true
}

// lower returns a name with its ASCII letters in lower case. Lengths are below any letter.
func lower(name []byte) wireName {
	b := make([]byte, len(name))
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		b[i] = c
	}
	return wireName(b)
}

// answer returns the response to a query that says nothing but a response code. It repeats the question, letter case
// included, and like any server that knows EDNS answers OPT with OPT. There is no SOA record in it, so that an NXDOMAIN
// is not to be cached (RFC 2308, section 5).
func answer(msg []byte, q question, rcode uint16) []byte {
	r := append(make([]byte, 0, q.end+11), msg[:q.end]...)
	flags := binary.BigEndian.Uint16(msg[2:])
	binary.BigEndian.PutUint16(r[2:], flagQR|flags&(maskOpcode|flagRD)|flagRA|rcode)
	clear(r[6:headerSize])
	if q.edns {
		binary.BigEndian.PutUint16(r[10:], 1)
		r = append(r, 0) // the root
		r = binary.BigEndian.AppendUint16(r, typeOPT)
		r = binary.BigEndian.AppendUint16(r, ednsPayload)
		r = append(r, 0, 0, 0, 0, 0, 0) // extended code, version, flags, length
	}
	return r
}

// newQuery returns a query for a name's IPv4 address.
func newQuery(id uint16, name wireName) []byte {
	m := make([]byte, headerSize, headerSize+len(name)+fixedSize)
	binary.BigEndian.PutUint16(m, id)
	binary.BigEndian.PutUint16(m[2:], flagRD)
	binary.BigEndian.PutUint16(m[4:], 1)
	m = append(m, name...)
	m = binary.BigEndian.AppendUint16(m, typeA)
	return binary.BigEndian.AppendUint16(m, classIN)
}

// answers reports whether msg can be the response to query, and its response code.
func answers(msg, query []byte) (rcode uint16, ok bool) {
	if len(msg) < headerSize || len(query) < headerSize || msg[0] != query[0] || msg[1] != query[1] {
		return 0, false
	}
	flags := binary.BigEndian.Uint16(msg[2:])
	return flags & maskRcode, flags&flagQR != 0
}

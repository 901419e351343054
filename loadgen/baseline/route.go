package baseline

import "bytes"

const (
	// maxSegments and maxRoute bound the template of a route.
	maxSegments = 8
	maxRoute    = 100
)

// id stands in a template for what is different in each request.
const id = ":id"

// appendRoute appends the template of a path to a buffer: without what follows the path, and with ":id" for numbers, UUIDs,
// hashes and other keys, so that the requests of one route count together.
func appendRoute(to, path []byte) []byte {
	path = pathOf(path)
	begin := len(to)
	for n := 0; len(path) > 0; n++ {
		path = path[1:] // the slash
		if n == maxSegments {
			to = append(to, "/…"...)
			break
		}
		segment := path
		if i := bytes.IndexByte(path, '/'); i >= 0 {
			segment = path[:i]
		}
		path = path[len(segment):]
		to = appendSegment(append(to, '/'), segment)
	}
	if len(to)-begin > maxRoute {
		to = append(to[:begin+maxRoute], "…"...)
	}
	return to
}

// pathOf returns the path of a request's target, from its slash on: targets may be whole URLs, and have queries.
func pathOf(target []byte) []byte {
	if i := bytes.IndexAny(target, "?#;"); i >= 0 {
		target = target[:i]
	}
	if i := bytes.Index(target, []byte("://")); i > 0 && i < len("https://") {
		target = target[i+len("://"):]
		i := bytes.IndexByte(target, '/')
		if i < 0 {
			return []byte("/")
		}
		target = target[i:]
	}
	if len(target) > 0 && target[0] != '/' {
		return nil
	}
	return target
}

// appendSegment appends a part of a path, or ":id" for one that is a key. The extension of a file stays.
func appendSegment(to, segment []byte) []byte {
	if isAddress(segment) {
		return append(to, id...)
	}
	name, extension := segment, []byte(nil)
	if i := bytes.LastIndexByte(segment, '.'); i > 0 && len(segment)-i <= 6 && !digitsOnly(segment[i+1:]) {
		name, extension = segment[:i], segment[i:]
	}
	if !isKey(name) {
		return append(to, segment...)
	}
	return append(append(to, id...), extension...)
}

// isAddress reports whether a part of a path is somebody's address of e-mail, which is nothing for a record.
func isAddress(segment []byte) bool {
	return bytes.IndexByte(segment, '@') > 0 || bytes.Index(segment, []byte("%40")) > 0
}

func digitsOnly(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

const (
	// shortestHash is how many hexadecimal digits are a hash, if one of them is a number: a commit of seven, say.
	shortestHash = 7
	// shortestToken is how many letters and digits mixed are a key: ULIDs have 26.
	shortestToken = 20
)

// isKey reports whether a part of a path tells one thing from others of its kind: a number, a date, a UUID, a hash, a token.
func isKey(b []byte) bool {
	digits, hex, letters, marks := 0, 0, 0, 0
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
			hex++
		case c >= 'g' && c <= 'z' || c >= 'G' && c <= 'Z':
			letters++
		case c == '-' || c == '_' || c == '.' || c == ':' || c == '=' || c == '+' || c == ',':
			marks++
		default:
			return false
		}
	}
	switch {
	case digits == 0:
		return false
	case hex+letters == 0:
		return true
	case letters == 0:
		return digits+hex >= shortestHash && digits > 1
	}
	// Words joined by marks, with a year among them, are the name of a page; a token has digits all over, or large letters.
	all := digits + hex + letters
	return all >= shortestToken && (digits*6 >= all || turns(b)*4 >= all)
}

// turns counts the letters and digits that stand behind one which is rarely their neighbour in a word.
func turns(b []byte) (n int) {
	for i := 1; i < len(b); i++ {
		if turn(b[i-1], b[i]) {
			n++
		}
	}
	return n
}

// turn reports whether two letters or digits that follow upon each other are rarely neighbours in a word: a digit and a letter,
// or a large letter behind a small one.
func turn(a, b byte) bool {
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	small := func(c byte) bool { return c >= 'a' && c <= 'z' }
	large := func(c byte) bool { return c >= 'A' && c <= 'Z' }
	return digit(a) && (small(b) || large(b)) || digit(b) && (small(a) || large(a)) || small(a) && large(b)
}

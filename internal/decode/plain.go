package decode

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// This file is the fast path for the JSON of plain records. Decoding is the largest part of the CPU time of a
// rebuild and of live ingest, and most of that was the library's tokenizer, which can resume at the end of a
// buffer, unescapes, and knows the place of each token. The records of producers need none of that. scanPlain
// reads them in one pass without allocation; it scans strings eight bytes at a time within a register (SWAR;
// Langdale and Lemire, "Parsing Gigabytes of JSON per Second", 2019, use wider registers for the same).
//
// It never rejects a record. The library reads every record that is not plain from its start, so it alone
// defines what is accepted, and the order and place of faults. FuzzPlain holds both paths to the same members
// and the same verdict.

const (
	// plainDepth is how deep the attributes of a plain record may nest.
	plainDepth = 8
	// plainNames is how many members an object in the attributes of a plain record may have. Each name is
	// compared with all others.
	plainNames = 32
)

// notPlain is returned in place of an end by functions that find no plain text.
const notPlain = -1

// scanPlain has the result of a strict scan if the record is plain. Otherwise it returns false, and d.raw and
// d.extra are undefined.
//
// A plain record is valid JSON with at least one member, no escapes in names and strings, no exponents in
// numbers, no white space except one space after a colon or a comma, and attributes nested at most plainDepth
// deep.
func (d *Decoder) scanPlain(value []byte) bool {
	d.clear()
	if len(value) == 0 || value[0] != '{' {
		return false
	}
	for at := 1; ; {
		start, end := plainName(value, at)
		if end == notPlain {
			return false
		}
		name := value[start:end]
		at = afterColon(value, end+1)
		end = d.plainValue(value, at, 1)
		if end == notPlain || end == len(value) {
			return false
		}
		text := value[at:end:end]
		if m := memberOf(name); m == unmodelled {
			d.extra = append(d.extra, extra{name, text})
		} else if d.raw[m] != nil {
			return false // a duplicate
		} else {
			d.raw[m] = text
		}
		switch value[end] {
		case ',':
			at = afterSpace(value, end+1)
		case '}':
			return end+1 == len(value) && d.distinctExtra()
		default:
			return false
		}
	}
}

// distinctExtra sorts d.extra by name and reports whether all names differ.
func (d *Decoder) distinctExtra() bool {
	slices.SortFunc(d.extra, compareExtra)
	for i := 1; i < len(d.extra); i++ {
		if bytes.Equal(d.extra[i-1].name, d.extra[i].name) {
			return false
		}
	}
	return true
}

// plainValue returns the end of the value that starts at b[at] in depth nested objects and arrays.
func (d *Decoder) plainValue(b []byte, at, depth int) (end int) {
	if at >= len(b) {
		return notPlain
	}
	switch c := b[at]; {
	case c == '"':
		if end = plainString(b, at+1); end == notPlain {
			return notPlain
		}
		return end + 1
	case isDigit(c) || c == '-':
		return plainNumber(b, at)
	case c == 'n':
		return plainLiteral(b, at, "null")
	case c == 't':
		return plainLiteral(b, at, "true")
	case c == 'f':
		return plainLiteral(b, at, "false")
	case depth > plainDepth:
		return notPlain
	case c == '{':
		return d.plainObject(b, at+1, depth+1)
	case c == '[':
		return d.plainArray(b, at+1, depth+1)
	default:
		return notPlain
	}
}

// plainObject returns the end of the object whose first name starts at b[at]. Meanwhile its names are the last
// of d.names.
func (d *Decoder) plainObject(b []byte, at, depth int) (end int) {
	if at < len(b) && b[at] == '}' {
		return at + 1
	}
	first := len(d.names)
	for {
		var start int
		start, end = plainName(b, at)
		if end == notPlain || len(d.names)-first == plainNames {
			return notPlain
		}
		name := b[start:end]
		for _, other := range d.names[first:] {
			if bytes.Equal(name, other) {
				return notPlain
			}
		}
		d.names = append(d.names, name)
		end = d.plainValue(b, afterColon(b, end+1), depth)
		if end == notPlain || end == len(b) {
			return notPlain
		}
		switch b[end] {
		case ',':
			at = afterSpace(b, end+1)
		case '}':
			clear(d.names[first:])
			d.names = d.names[:first]
			return end + 1
		default:
			return notPlain
		}
	}
}

// plainArray returns the end of the array whose first element starts at b[at].
func (d *Decoder) plainArray(b []byte, at, depth int) (end int) {
	if at < len(b) && b[at] == ']' {
		return at + 1
	}
	for {
		end = d.plainValue(b, at, depth)
		if end == notPlain || end == len(b) {
			return notPlain
		}
		switch b[end] {
		case ',':
			at = afterSpace(b, end+1)
		case ']':
			return end + 1
		default:
			return notPlain
		}
	}
}

// plainName returns the start and the end of the text of the name whose quotation mark is b[at].
func plainName(b []byte, at int) (start, end int) {
	if at >= len(b) || b[at] != '"' {
		return at, notPlain
	}
	return at + 1, plainString(b, at+1)
}

// afterColon returns the start of the value that follows the colon at b[at], or len(b) if there is no colon.
func afterColon(b []byte, at int) int {
	if at >= len(b) || b[at] != ':' {
		return len(b)
	}
	return afterSpace(b, at+1)
}

// afterSpace skips one space.
func afterSpace(b []byte, at int) int {
	if at < len(b) && b[at] == ' ' {
		at++
	}
	return at
}

// plainString returns the place of the quotation mark that ends the string whose text starts at b[at].
//
// It looks at eight bytes at a time for the first that is a quotation mark, a backslash, a control character or
// not ASCII. The high bit of that byte is set in found. A borrow may set bits of later bytes, never of earlier
// ones.
func plainString(b []byte, at int) (end int) {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	for at+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[at:])
		quote, backslash := w^ones*'"', w^ones*'\\'
		found := ((quote-ones)&^quote | (backslash-ones)&^backslash | (w - ones*' ') | w) & highs
		if found == 0 {
			at += 8
			continue
		}
		at += bits.TrailingZeros64(found) / 8
		if b[at] == '"' {
			return at
		}
		if at = afterRune(b, at); at == notPlain {
			return notPlain
		}
	}
	for at < len(b) {
		switch c := b[at]; {
		case c == '"':
			return at
		case ' ' <= c && c < utf8.RuneSelf && c != '\\':
			at++
		default:
			if at = afterRune(b, at); at == notPlain {
				return notPlain
			}
		}
	}
	return notPlain
}

// afterRune returns the end of the character at b[at], which must not be ASCII.
func afterRune(b []byte, at int) int {
	if _, n := utf8.DecodeRune(b[at:]); n > 1 {
		return at + n
	}
	return notPlain
}

// plainNumber returns the end of the number that starts at b[at]. The caller checks that a comma or a bracket
// follows.
func plainNumber(b []byte, at int) (end int) {
	if b[at] == '-' {
		at++
	}
	start := at
	at = afterDigits(b, at)
	if at == start || b[start] == '0' && at > start+1 {
		return notPlain
	}
	if at < len(b) && b[at] == '.' {
		point := at
		if at = afterDigits(b, at+1); at == point+1 {
			return notPlain
		}
	}
	return at
}

func afterDigits(b []byte, at int) int {
	for at < len(b) && isDigit(b[at]) {
		at++
	}
	return at
}

func plainLiteral(b []byte, at int, literal string) (end int) {
	if end = at + len(literal); end > len(b) || string(b[at:end]) != literal {
		return notPlain
	}
	return end
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

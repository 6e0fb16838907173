package audit

import "unicode/utf8"

const (
	// maxDepth is the greatest depth of nested objects and arrays of an event; the event itself has depth 1.
	maxDepth = 64
	// maxReadDepth bounds the recursion in a text that is rejected anyway.
	maxReadDepth = 10_000
)

// object is the parsed part of a JSON text that should be one object (RFC 8259).
type object struct {
	members map[string]member
	// whole reports that the text was parsed to the end of the object.
	whole bool
	// sound reports that there is no fault: no duplicate name in any object, valid text, not too deep, and only white
	// space after the object.
	sound bool
}

// member is the text of a value. twice is true if the object has its name more than once.
type member struct {
	text  []byte
	twice bool
}

// readObject parses as much of an object as there is. The members point into text.
func readObject(text []byte) object {
	o := object{members: map[string]member{}}
	s := scanner{text: text, sound: utf8.Valid(text)}
	s.space()
	if !s.take('{') {
		return o
	}
	o.whole = s.pairs(1, func(name string, value []byte) {
		_, twice := o.members[name]
		o.members[name] = member{value, twice}
		if twice {
			s.sound = false
		}
	})
	s.space()
	o.sound = o.whole && s.sound && s.at == len(s.text)
	return o
}

// scanner scans a JSON text. Its methods return false at a syntax error.
type scanner struct {
	text  []byte
	at    int
	sound bool
}

// pairs scans the rest of an object and calls take with each complete member.
func (s *scanner) pairs(depth int, take func(name string, value []byte)) bool {
	s.space()
	if s.take('}') {
		return true
	}
	for {
		s.space()
		start := s.at
		if !s.string() {
			return false
		}
		name, _ := unquote(s.text[start:s.at])
		s.space()
		if !s.take(':') {
			return false
		}
		s.space()
		start = s.at
		if !s.value(depth) {
			return false
		}
		take(name, s.text[start:s.at])
		s.space()
		if s.take('}') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

// value scans one value at the given depth.
func (s *scanner) value(depth int) bool {
	if s.at == len(s.text) {
		return false
	}
	switch c := s.text[s.at]; {
	case c == '"':
		return s.string()
	case c == '{' || c == '[':
		s.at++
		if depth++; depth > maxDepth {
			s.sound = false
		}
		if depth > maxReadDepth {
			return false
		}
		if c == '[' {
			return s.elements(depth)
		}
		names := map[string]bool{}
		return s.pairs(depth, func(name string, _ []byte) {
			if names[name] {
				s.sound = false
			}
			names[name] = true
		})
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	}
	return s.word("true") || s.word("false") || s.word("null")
}

// elements scans the rest of an array.
func (s *scanner) elements(depth int) bool {
	s.space()
	if s.take(']') {
		return true
	}
	for {
		s.space()
		if !s.value(depth) {
			return false
		}
		s.space()
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

// string scans a string and records unpaired surrogates.
func (s *scanner) string() bool {
	if !s.take('"') {
		return false
	}
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return true
		case c < 0x20:
			return false
		case c != '\\':
			s.at++
		default:
			n := escape(s.text[s.at:])
			if n == 0 {
				return false
			}
			if n == 6 {
				if r, long := surrogates(s.text[s.at:]); r == utf8.RuneError && !isReplacement(s.text[s.at:]) {
					s.sound = false
				} else if long {
					n = 12
				}
			}
			s.at += n
		}
	}
	return false
}

// number scans a number.
func (s *scanner) number() bool {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return false
	}
	if s.take('.') && !s.digits() {
		return false
	}
	if s.take('e') || s.take('E') {
		_ = s.take('+') || s.take('-')
		return s.digits()
	}
	return true
}

// digits scans at least one digit.
func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.text) && '0' <= s.text[s.at] && s.text[s.at] <= '9' {
		s.at++
	}
	return s.at > start
}

func (s *scanner) word(w string) bool {
	if len(s.text)-s.at < len(w) || string(s.text[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scanner) take(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) space() {
	for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == '\t' || s.text[s.at] == '\n' || s.text[s.at] == '\r') {
		s.at++
	}
}

// escape is the length of the escape at the start of text; 0 if there is none.
func escape(text []byte) int {
	if len(text) < 2 {
		return 0
	}
	switch text[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := unit(text); ok {
			return 6
		}
	}
	return 0
}

// unit is the UTF-16 unit of a \u escape.
func unit(text []byte) (u uint16, ok bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	for _, c := range text[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		u = u<<4 | uint16(c)
	}
	return u, true
}

// surrogates is the character of a \u escape; U+FFFD for an unpaired surrogate. long reports that it used two escapes.
func surrogates(text []byte) (r rune, long bool) {
	high, _ := unit(text)
	switch {
	case high < 0xD800 || high > 0xDFFF:
		return rune(high), false
	case high < 0xDC00:
		if low, ok := unit(text[6:]); ok && 0xDC00 <= low && low <= 0xDFFF {
			return 0x10000 + rune(high-0xD800)<<10 + rune(low-0xDC00), true
		}
	}
	return utf8.RuneError, false
}

// isReplacement reports whether the escape is U+FFFD itself.
func isReplacement(text []byte) bool {
	u, _ := unit(text)
	return u == 0xFFFD
}

// unquote returns the text of a scanned string. ok is false for invalid UTF-8 and unpaired surrogates.
func unquote(quoted []byte) (text string, ok bool) {
	body := quoted[1 : len(quoted)-1]
	ok = utf8.Valid(body)
	var out []byte
	for i := 0; i < len(body); {
		if body[i] != '\\' {
			out = append(out, body[i])
			i++
			continue
		}
		switch c := body[i+1]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, long := surrogates(body[i:])
			if r == utf8.RuneError && !isReplacement(body[i:]) {
				ok = false
			}
			out = utf8.AppendRune(out, r)
			if i += 4; long {
				i += 6
			}
		default:
			out = append(out, c)
		}
		i += 2
	}
	return string(out), ok
}

// quote encodes text as a JSON string with as few escapes as possible.
func quote(b []byte, text string) []byte {
	b = append(b, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < 0x20:
			const hex = "0123456789abcdef"
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

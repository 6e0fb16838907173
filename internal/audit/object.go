package audit

import "unicode/utf8"

const (
	// maxDepth is how deep the objects and arrays of an event may nest; the event is 1.
	maxDepth = 64
	// maxReadDepth ends the reading of a text that is no event anyway.
	maxReadDepth = 10_000
)

// object is what can be read of a JSON text that should be one object, as RFC 8259 has it.
type object struct {
	members map[string]member
	// whole reports that the text was read to the object's end.
	whole bool
	// sound reports that nothing is wrong: no name twice in any object, all text valid, not too deep,
	// nothing but white space behind.
	sound bool
}

// member is a value as it is written; twice where the object has its name more than once.
type member struct {
	text  []byte
	twice bool
}

// readObject reads as much of an object as there is. The members point into text.
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

// scanner walks over a JSON text. Its methods report false where the grammar ends.
type scanner struct {
	text  []byte
	at    int
	sound bool
}

// pairs reads the rest of an object and gives each member that is complete to take.
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

// value reads one value inside depth objects and arrays.
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

// elements reads the rest of an array.
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

// string reads a string and notes half surrogate pairs.
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

// number reads a number.
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

// digits reads at least one digit.
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

// escape is the length of the escape that text begins with, 0 for none.
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

// surrogates is the character of a \u escape, U+FFFD for half of a pair; long says that it took two escapes.
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

// isReplacement reports whether the escape is that of U+FFFD itself.
func isReplacement(text []byte) bool {
	u, _ := unit(text)
	return u == 0xFFFD
}

// unquote is the text of a string that the scanner has read. ok is false where it is no text: invalid
// UTF-8, or half of a surrogate pair.
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

// quote writes text as a JSON string with no more escapes than there must be.
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

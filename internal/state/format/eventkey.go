package format

import (
	"encoding/hex"
	"fmt"

	"daybook/internal/billing"
)

// UUIDTag begins an event id that is a UUID in its usual spelling (36 characters, lower case). The UUID's 16 bytes
// follow, and no end. No escaped string begins with it. UUIDs are in order among themselves, and before all other
// ids: readers that want all ids of an account-day in order merge the two.
const UUIDTag = 0x02

// hexDigit is the value of each lower-case hex digit, and 0xff for every other byte.
var hexDigit = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i, c := range []byte("0123456789abcdef") {
		t[c] = byte(i)
	}
	return t
}()

// AppendEventID appends an event id: a packed UUID, or an escaped string.
func AppendEventID(b []byte, id billing.EventID) []byte {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return AppendKeyString(b, string(id))
	}
	at := len(b)
	b = append(b, UUIDTag)
	for i := 0; i < len(id); i += 2 {
		if id[i] == '-' {
			i++
		}
		high, low := hexDigit[id[i]], hexDigit[id[i+1]]
		if high|low > 0x0f {
			return AppendKeyString(b[:at], string(id))
		}
		b = append(b, high<<4|low)
	}
	return b
}

// CutEventID reads an event id that AppendEventID wrote. id refers to key or to buf.
func CutEventID(key []byte, buf *[36]byte) (id, rest []byte, err error) {
	if len(key) == 0 || key[0] != UUIDTag {
		return CutKeyString(key)
	}
	if len(key) < 17 {
		return nil, nil, fmt.Errorf("%w: truncated key: UUID suffix has %d bytes, want 16", ErrDamaged, len(key)-1)
	}
	u := key[1:17]
	hex.Encode(buf[:8], u[:4])
	hex.Encode(buf[9:13], u[4:6])
	hex.Encode(buf[14:18], u[6:8])
	hex.Encode(buf[19:23], u[8:10])
	hex.Encode(buf[24:], u[10:])
	buf[8], buf[13], buf[18], buf[23] = '-', '-', '-', '-'
	return buf[:], key[17:], nil
}

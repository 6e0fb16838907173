package state

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"daybook/internal/billing"
)

// fields reads a value's fields one after the other. After the first fault all
// reads give zero values, and done reports it.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) byte() byte {
	if len(f.b) < 1 {
		f.bad = true
		return 0
	}
	c := f.b[0]
	f.b = f.b[1:]
	return c
}

func (f *fields) uvarint() uint64 {
	v, n := binary.Uvarint(f.b)
	if n <= 0 {
		f.bad, f.b = true, nil
		return 0
	}
	f.b = f.b[n:]
	return v
}

func (f *fields) varint() int64 {
	v, n := binary.Varint(f.b)
	if n <= 0 {
		f.bad, f.b = true, nil
		return 0
	}
	f.b = f.b[n:]
	return v
}

// take refers to the value's memory.
func (f *fields) take(n int) []byte {
	if n < 0 || n > len(f.b) {
		f.bad, f.b = true, nil
		return nil
	}
	s := f.b[:n:n]
	f.b = f.b[n:]
	return s
}

// bytes reads a length and as many bytes; they refer to the value's memory.
func (f *fields) bytes() []byte {
	n := f.uvarint()
	if n > uint64(len(f.b)) {
		f.bad, f.b = true, nil
		return nil
	}
	return f.take(int(n))
}

func (f *fields) string() string { return string(f.bytes()) }

func (f *fields) digest() (d [16]byte) {
	copy(d[:], f.take(16))
	return d
}

func (f *fields) done(what string) error {
	if f.bad || len(f.b) != 0 {
		return fmt.Errorf("%w: unreadable %s", ErrDamaged, what)
	}
	return nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Instants are stored in the largest unit that holds them exactly: a byte for
// the unit, then the count.
var instantUnits = [4]int64{1, 1e3, 1e6, 1e9}

func appendInstant(b []byte, t billing.Instant) []byte {
	n := int64(t)
	switch { // of constants, because dividing by them is cheap
	case n%1e9 == 0:
		return binary.AppendVarint(append(b, 3), n/1e9)
	case n%1e6 == 0:
		return binary.AppendVarint(append(b, 2), n/1e6)
	case n%1e3 == 0:
		return binary.AppendVarint(append(b, 1), n/1e3)
	}
	return binary.AppendVarint(append(b, 0), n)
}

func (f *fields) instant() billing.Instant {
	unit := f.byte()
	if int(unit) >= len(instantUnits) {
		f.bad, unit = true, 0
	}
	return billing.Instant(f.varint() * instantUnits[unit])
}

func appendVersion(b []byte, v billing.Version) []byte {
	b = appendInstant(b, v.IngestedAt)
	b = binary.AppendVarint(b, v.SourceRevision)
	b = binary.AppendUvarint(b, uint64(v.Source.Topic))
	b = binary.AppendUvarint(b, uint64(uint32(v.Source.Partition)))
	b = binary.AppendUvarint(b, uint64(v.Source.Offset))
	return binary.AppendVarint(b, v.Source.RecordTime-int64(v.IngestedAt)/1e6)
}

func (f *fields) version() (v billing.Version) {
	v.IngestedAt = f.instant()
	v.SourceRevision = f.varint()
	v.Source.Topic = billing.TopicOrdinal(f.uvarint())
	v.Source.Partition = int32(f.uvarint())
	v.Source.Offset = int64(f.uvarint())
	v.Source.RecordTime = f.varint() + int64(v.IngestedAt)/1e6
	return v
}

// Money is stored as sign and exponent in one byte, then the magnitude without
// as many trailing zeros: a uvarint, or 16 bytes where it needs more than 64 bits.
const (
	moneyNegative = 0x80
	moneyWide     = 0x40
	moneyExponent = 0x1f
)

// powers are those of ten that fit.
var powers = func() (p [20]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

func appendMoney(b []byte, m billing.Money) []byte {
	hi, lo := m.Parts()
	var head byte
	h, l := uint64(hi), lo
	if hi < 0 {
		head = moneyNegative
		var borrow uint64
		l, borrow = bits.Sub64(0, l, 0)
		h, _ = bits.Sub64(0, h, borrow)
	}
	if h|l != 0 {
		for _, step := range [...]struct{ zeros, power uint64 }{{9, 1e9}, {6, 1e6}, {3, 1e3}, {2, 100}, {1, 10}, {1, 10}, {1, 10}} {
			if uint64(bits.TrailingZeros64(l)) < step.zeros {
				continue // ten is two times five: most that is no multiple is seen without dividing
			}
			qh, r := h/step.power, h%step.power
			ql, r := bits.Div64(r, l, step.power)
			if r == 0 && uint64(head&moneyExponent)+step.zeros <= moneyExponent {
				h, l, head = qh, ql, head+byte(step.zeros)
			}
		}
	}
	if h != 0 {
		b = append(b, head|moneyWide)
		b = binary.BigEndian.AppendUint64(b, h)
		return binary.BigEndian.AppendUint64(b, l)
	}
	return binary.AppendUvarint(append(b, head), l)
}

func (f *fields) money() billing.Money {
	head := f.byte()
	var h, l uint64
	if head&moneyWide != 0 {
		if wide := f.take(16); wide != nil {
			h, l = binary.BigEndian.Uint64(wide), binary.BigEndian.Uint64(wide[8:])
		}
	} else {
		l = f.uvarint()
	}
	for zeros := int(head & moneyExponent); zeros > 0; {
		step := min(zeros, len(powers)-1)
		over, low := bits.Mul64(l, powers[step])
		h, l, zeros = h*powers[step]+over, low, zeros-step
	}
	if head&moneyNegative != 0 {
		var borrow uint64
		l, borrow = bits.Sub64(0, l, 0)
		h, _ = bits.Sub64(0, h, borrow)
	}
	return billing.MoneyFromParts(int64(h), l)
}

package format

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"daybook/internal/billing"
)

// Decoder reads the fields of a value one after another. After the first field that cannot be read, Bad is set and
// all further reads return zero values, so that callers check once, with Done. A decoder is made of a value:
// Decoder{Rest: value}.
type Decoder struct {
	Rest []byte // what has not been read
	Bad  bool
}

// Byte reads one byte.
func (f *Decoder) Byte() byte {
	if len(f.Rest) < 1 {
		f.Bad = true
		return 0
	}
	c := f.Rest[0]
	f.Rest = f.Rest[1:]
	return c
}

// Uvarint reads an unsigned varint.
func (f *Decoder) Uvarint() uint64 {
	v, n := binary.Uvarint(f.Rest)
	if n <= 0 {
		f.Bad, f.Rest = true, nil
		return 0
	}
	f.Rest = f.Rest[n:]
	return v
}

// Varint reads a signed varint.
func (f *Decoder) Varint() int64 {
	v, n := binary.Varint(f.Rest)
	if n <= 0 {
		f.Bad, f.Rest = true, nil
		return 0
	}
	f.Rest = f.Rest[n:]
	return v
}

// Take reads n bytes. They refer to the value's memory.
func (f *Decoder) Take(n int) []byte {
	if n < 0 || n > len(f.Rest) {
		f.Bad, f.Rest = true, nil
		return nil
	}
	s := f.Rest[:n:n]
	f.Rest = f.Rest[n:]
	return s
}

// Bytes reads a length and that many bytes. They refer to the value's memory.
func (f *Decoder) Bytes() []byte {
	n := f.Uvarint()
	if n > uint64(len(f.Rest)) {
		f.Bad, f.Rest = true, nil
		return nil
	}
	return f.Take(int(n))
}

// Text reads a string.
func (f *Decoder) Text() string { return string(f.Bytes()) }

// Digest reads 16 bytes.
func (f *Decoder) Digest() (d [16]byte) {
	copy(d[:], f.Take(16))
	return d
}

// Done is ErrDamaged unless all fields, and no other bytes, were read. what names the value.
func (f *Decoder) Done(what string) error {
	if f.Bad || len(f.Rest) != 0 {
		return fmt.Errorf("%w: unreadable %s", ErrDamaged, what)
	}
	return nil
}

// AppendString appends a string with its length.
func AppendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Instants are stored in the largest unit in which they are whole: a byte for the unit, then the count since 1970
// as a varint.
var instantUnits = [4]int64{1, 1e3, 1e6, 1e9}

// AppendInstant appends an instant.
func AppendInstant(b []byte, t billing.Instant) []byte {
	n := int64(t)
	switch { // division by a constant is compiled to a multiplication
	case n%1e9 == 0:
		return binary.AppendVarint(append(b, 3), n/1e9)
	case n%1e6 == 0:
		return binary.AppendVarint(append(b, 2), n/1e6)
	case n%1e3 == 0:
		return binary.AppendVarint(append(b, 1), n/1e3)
	}
	return binary.AppendVarint(append(b, 0), n)
}

// Instant reads an instant.
func (f *Decoder) Instant() billing.Instant {
	unit := f.Byte()
	if int(unit) >= len(instantUnits) {
		f.Bad, unit = true, 0
	}
	return billing.Instant(f.Varint() * instantUnits[unit])
}

// AppendVersion appends an event's version.
func AppendVersion(b []byte, v billing.Version) []byte {
	b = AppendInstant(b, v.IngestedAt)
	b = binary.AppendVarint(b, v.SourceRevision)
	b = binary.AppendUvarint(b, uint64(v.Source.Topic))
	b = binary.AppendUvarint(b, uint64(uint32(v.Source.Partition)))
	b = binary.AppendUvarint(b, uint64(v.Source.Offset))
	return binary.AppendVarint(b, v.Source.RecordTime-int64(v.IngestedAt)/1e6)
}

// Version reads a version.
func (f *Decoder) Version() (v billing.Version) {
	v.IngestedAt = f.Instant()
	v.SourceRevision = f.Varint()
	v.Source.Topic = billing.TopicOrdinal(f.Uvarint())
	v.Source.Partition = int32(f.Uvarint())
	v.Source.Offset = int64(f.Uvarint())
	v.Source.RecordTime = f.Varint() + int64(v.IngestedAt)/1e6
	return v
}

// Money is stored as a byte with sign and decimal exponent, then the magnitude divided by ten to that exponent: a
// uvarint, or 16 bytes if it needs more than 64 bits.
const (
	moneyNegative = 0x80
	moneyWide     = 0x40
	moneyExponent = 0x1f
)

// powers are the powers of ten that fit into 64 bits.
var powers = func() (p [20]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// AppendMoney appends an amount.
func AppendMoney(b []byte, m billing.Money) []byte {
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
				continue // a multiple of 10^n is one of 2^n, which most others are not: that is seen without a division
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

// Money reads an amount.
func (f *Decoder) Money() billing.Money {
	head := f.Byte()
	var h, l uint64
	if head&moneyWide != 0 {
		if wide := f.Take(16); wide != nil {
			h, l = binary.BigEndian.Uint64(wide), binary.BigEndian.Uint64(wide[8:])
		}
	} else {
		l = f.Uvarint()
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

// SkipVersion skips a version.
func (f *Decoder) SkipVersion() {
	f.Byte()
	for range 6 {
		n := 0
		for n < len(f.Rest) && f.Rest[n] >= 0x80 {
			n++
		}
		f.Take(n + 1)
	}
}

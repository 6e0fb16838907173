package billing

import "math/bits"

// centsShift is the number of decimal places of Money that Display drops.
const centsShift = Scale - 2

// Display is the amount for a person: two decimal places, rounded half-even, and commas between thousands, as in
// "-1,234,567.80". An amount that is not zero but rounds to zero has all its digits, so that it is never shown as
// nothing. String and JSON are always exact.
func (m Money) Display() string {
	cents := m.roundToCents()
	if cents == (Money{}) && m != (Money{}) {
		return m.String()
	}
	text := cents.String()
	sign := ""
	if text[0] == '-' {
		sign, text = "-", text[1:]
	}
	whole, fraction := text, ""
	for i := range text {
		if text[i] == '.' {
			whole, fraction = text[:i], text[i+1:]
			break
		}
	}
	b := []byte(sign)
	for i := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b = append(b, ',')
		}
		b = append(b, whole[i])
	}
	b = append(b, '.')
	b = append(b, fraction...)
	for n := len(fraction); n < 2; n++ {
		b = append(b, '0')
	}
	return string(b)
}

// roundToCents is the nearest multiple of a cent, the even one of two. Money in range stays below 2^127 by it.
func (m Money) roundToCents() Money {
	hi, lo := m.magnitude()
	unit := pow10[centsShift]
	quotientHi := hi / unit
	quotientLo, rest := bits.Div64(hi%unit, lo, unit)
	if half := unit / 2; rest > half || rest == half && quotientLo&1 == 1 {
		quotientLo++
		if quotientLo == 0 {
			quotientHi++
		}
	}
	hi, lo = mulAdd(quotientHi, quotientLo, unit, 0)
	rounded := Money{int64(hi), lo}
	if m.hi < 0 {
		return rounded.Neg()
	}
	return rounded
}

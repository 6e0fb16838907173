package billing

import "math/bits"

// exponentCap bounds an exponent while it is read. It is far beyond the length
// of any text, so that no run of zeros can bring a capped one back into range,
// and far below what an int64 sum can overflow.
const exponentCap = 1 << 40

// decimal is a scanned JSON number: its significant digits, read as an
// integer, times 10^shift units of 10^-Scale.
type decimal struct {
	negative bool
	head     uint64 // the significant digits, when there are at most maxDigits
	digits   int    // how many significant digits there are; leading zeros are none
	first    int    // where the first significant digit stands in the text
	shift    int64
}

// scanDecimal checks the syntax and finds the significant digits. It reads the
// text once and keeps no copy.
func scanDecimal(text string) (d decimal, ok bool) {
	i := 0
	if i < len(text) && text[i] == '-' {
		d.negative = true
		i++
	}
	start := i
	for i < len(text) && isDigit(text[i]) {
		d.add(text[i], i)
		i++
	}
	if i == start || text[start] == '0' && i > start+1 {
		return d, false
	}
	places := 0
	if i < len(text) && text[i] == '.' {
		i++
		point := i
		for i < len(text) && isDigit(text[i]) {
			d.add(text[i], i)
			i++
		}
		if places = i - point; places == 0 {
			return d, false
		}
	}
	var exponent int64
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		i++
		down := false
		if i < len(text) && (text[i] == '+' || text[i] == '-') {
			down = text[i] == '-'
			i++
		}
		start = i
		for i < len(text) && isDigit(text[i]) {
			exponent = min(exponent*10+int64(text[i]-'0'), exponentCap)
			i++
		}
		if i == start {
			return d, false
		}
		if down {
			exponent = -exponent
		}
	}
	d.shift = Scale + exponent - int64(places)
	return d, i == len(text)
}

// add takes the next digit, which stands at position at.
func (d *decimal) add(c byte, at int) {
	if d.digits == 0 {
		if c == '0' {
			return
		}
		d.first = at
	}
	d.digits++
	if d.digits <= maxDigits {
		d.head = d.head*10 + uint64(c-'0')
	}
}

// scale is the magnitude in units of 10^-Scale, rounded half-even. text is
// what d was scanned from.
func (d *decimal) scale(text string) (hi, lo uint64, rounded bool, err error) {
	if d.digits == 0 {
		return 0, 0, false, nil
	}
	whole := int64(d.digits) + d.shift // digits before the unit's point
	if whole > 38 {
		return 0, 0, false, ErrMoneyRange
	}
	if whole < 0 { // less than a tenth of a unit
		return 0, 0, true, nil
	}
	// The digits that count, then those that only decide the rounding.
	keep := min(whole, int64(d.digits))
	i := d.first
	for n := int64(0); n < keep; i++ {
		if text[i] == '.' {
			continue
		}
		hi, lo = mulAdd(hi, lo, 10, uint64(text[i]-'0'))
		n++
	}
	half, beyond := byte(0), false // the first dropped digit; is another one not zero?
	for n := keep; n < int64(d.digits); i++ {
		if text[i] == '.' {
			continue
		}
		if n == keep {
			half = text[i] - '0'
		} else if text[i] != '0' {
			beyond = true
		}
		n++
	}
	rounded = half != 0 || beyond
	if half > 5 || half == 5 && (beyond || lo&1 == 1) {
		hi, lo = mulAdd(hi, lo, 1, 1)
	}
	for n := d.shift; n > 0; n -= maxDigits {
		hi, lo = mulAdd(hi, lo, pow10[min(n, maxDigits)], 0)
	}
	return hi, lo, rounded, nil
}

// mulAdd is x*m + a in 128 bits. Callers keep the result below 2^128.
func mulAdd(hi, lo, m, a uint64) (uint64, uint64) {
	carry, low := bits.Mul64(lo, m)
	low, c := bits.Add64(low, a, 0)
	return hi*m + carry + c, low
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

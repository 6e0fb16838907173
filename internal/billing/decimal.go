package billing

import "math/bits"

// exponentCap bounds an exponent while it is read. It is much greater than the length of any text, so that no
// number of zeros makes up for a capped exponent, and so small that no sum with it overflows an int64.
const exponentCap = 1 << 40

// decimal is a scanned JSON number: its significant digits as an integer, times 10^shift units of 10^-Scale.
type decimal struct {
	negative bool
	head     uint64 // the significant digits, when there are at most maxDigits
	digits   int    // the number of significant digits: those after leading zeros
	first    int    // the place of the first significant digit in the text
	shift    int64
}

// scanDecimal checks the syntax of a number and finds its significant digits in one pass.
func scanDecimal(text string) (d decimal, ok bool) {
	i := 0
	if i < len(text) && text[i] == '-' {
		d.negative = true
		i++
	}
	start := i
	for i < len(text) && isDigit(text[i]) {
		d.addDigit(text[i], i)
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
			d.addDigit(text[i], i)
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

// addDigit adds the next digit, which is text[at].
func (d *decimal) addDigit(c byte, at int) {
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

// scale returns the magnitude in units of 10^-Scale, rounded half-even. d was scanned from text.
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
	// First the digits that are kept, then those that only decide the rounding.
	keep := min(whole, int64(d.digits))
	i := d.first
	for n := int64(0); n < keep; i++ {
		if text[i] == '.' {
			continue
		}
		hi, lo = mulAdd(hi, lo, 10, uint64(text[i]-'0'))
		n++
	}
	half, beyond := byte(0), false // the first dropped digit; whether another dropped digit is not zero
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

// mulAdd returns x*m + a in 128 bits, for x of the halves hi and lo. The result must be less than 2^128.
func mulAdd(hi, lo, m, a uint64) (uint64, uint64) {
	carry, low := bits.Mul64(lo, m)
	low, c := bits.Add64(low, a, 0)
	return hi*m + carry + c, low
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

package billing

import (
	"errors"
	"fmt"
	"time"
)

// ErrDay means that a text is not a calendar date YYYY-MM-DD.
var ErrDay = errors.New("not a date YYYY-MM-DD")

const secondsPerDay = 24 * 60 * 60

// Day is a calendar date in UTC, in days since 1970-01-01. A usage day is half-open: [Start, next Start).
type Day int32

// DayOf returns the UTC day of t.
func DayOf(t time.Time) Day {
	s := t.Unix()
	d := s / secondsPerDay
	if s%secondsPerDay < 0 {
		d--
	}
	return Day(d)
}

// ParseDay reads YYYY-MM-DD, years 0001 to 9999. Its error is ErrDay.
func ParseDay(s string) (Day, error) {
	if len(s) != len("2006-01-02") || s[4] != '-' || s[7] != '-' {
		return 0, ErrDay
	}
	century, ok1 := twoDigits(s[0], s[1])
	year, ok2 := twoDigits(s[2], s[3])
	month, ok3 := twoDigits(s[5], s[6])
	day, ok4 := twoDigits(s[8], s[9])
	year += 100 * century
	if !ok1 || !ok2 || !ok3 || !ok4 || year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, ErrDay
	}
	return dayOfDate(year, month, day), nil
}

// String returns YYYY-MM-DD.
func (d Day) String() string {
	var buf [16]byte
	return string(d.append(buf[:0]))
}

// AppendText appends String to b. It returns no error.
func (d Day) AppendText(b []byte) ([]byte, error) { return d.append(b), nil }

// MarshalText returns String, so that a Day is a date in JSON.
func (d Day) MarshalText() ([]byte, error) { return d.append(nil), nil }

// UnmarshalText reads what ParseDay reads. Its error wraps ErrDay.
func (d *Day) UnmarshalText(text []byte) error {
	day, err := ParseDay(string(text))
	if err != nil {
		return fmt.Errorf("read day %.64q: %w", text, err)
	}
	*d = day
	return nil
}

// Start returns the first moment of the day, 00:00 UTC.
func (d Day) Start() time.Time { return time.Unix(int64(d)*secondsPerDay, 0).UTC() }

// Month returns the month of the day as YYYY-MM.
func (d Day) Month() Period { return Period(d.String()[:len("2006-01")]) }

func (d Day) append(b []byte) []byte { return d.Start().AppendFormat(b, time.DateOnly) }

// dayOfDate returns the day of a date in the proleptic Gregorian calendar. It counts years from March, so that the
// leap day is the last day of a year (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
func dayOfDate(year, month, day int) Day {
	if month <= 2 {
		year--
		month += 12
	}
	leaps := year/4 - year/100 + year/400
	// 153 days in every five months from March on.
	inYear := (153*(month-3)+2)/5 + day - 1
	const toEpoch = 719468 // days from 0000-03-01 to 1970-01-01
	return Day(365*year + leaps + inYear - toEpoch)
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	default:
		return 31
	}
}

// twoDigits returns the number of two ASCII digits. ok is false if one of the bytes is not a digit.
func twoDigits(tens, units byte) (n int, ok bool) {
	tens, units = tens-'0', units-'0'
	return 10*int(tens) + int(units), tens <= 9 && units <= 9
}

package decode

import (
	"time"

	"daybook/internal/billing"
)

// moment is a date or a time in an event.
type moment struct {
	instant  billing.Instant
	dateOnly bool
}

// day is the moment's day in UTC.
func (m moment) day() billing.Day {
	const perDay = int64(24 * time.Hour)
	return billing.Day(int64(m.instant) / perDay) // instants are not negative
}

// parseMoment reads a date YYYY-MM-DD, which means 00:00 UTC of that day, or a date-time with offset (RFC 3339,
// section 5.6), whose separator is T. It truncates digits after nanoseconds. It refuses moments outside the
// range of Instant, and leap seconds, which would count in the next day.
func parseMoment(text []byte) (m moment, ok bool) {
	const date = len("2006-01-02")
	if len(text) < date {
		return moment{}, false
	}
	day, err := billing.ParseDay(string(text[:date]))
	if err != nil {
		return moment{}, false
	}
	if len(text) == date {
		at, ok := instantOf(int64(day)*24*60*60, 0)
		return moment{at, true}, ok
	}
	const whole = len("2006-01-02T15:04:05")
	if len(text) < whole+1 || text[10] != 'T' && text[10] != 't' || text[13] != ':' || text[16] != ':' {
		return moment{}, false
	}
	hour, ok1 := twoDigits(text[11:], 23)
	minute, ok2 := twoDigits(text[14:], 59)
	second, ok3 := twoDigits(text[17:], 59)
	if !ok1 || !ok2 || !ok3 {
		return moment{}, false
	}
	rest, nanos := text[whole:], int64(0)
	if rest[0] == '.' {
		n := 1
		for unit := int64(time.Second) / 10; n < len(rest) && '0' <= rest[n] && rest[n] <= '9'; n++ {
			nanos += int64(rest[n]-'0') * unit
			unit /= 10
		}
		if n == 1 {
			return moment{}, false
		}
		rest = rest[n:]
	}
	offset, ok := parseOffset(rest)
	if !ok {
		return moment{}, false
	}
	seconds := int64(day)*24*60*60 + int64(hour)*60*60 + int64(minute)*60 + int64(second) - offset
	at, ok := instantOf(seconds, nanos)
	return moment{instant: at}, ok
}

// parseOffset reads Z or ±hh:mm, and returns seconds east of UTC.
func parseOffset(text []byte) (seconds int64, ok bool) {
	if len(text) == 1 && (text[0] == 'Z' || text[0] == 'z') {
		return 0, true
	}
	if len(text) != len("+00:00") || text[0] != '+' && text[0] != '-' || text[3] != ':' {
		return 0, false
	}
	hours, ok1 := twoDigits(text[1:], 23)
	minutes, ok2 := twoDigits(text[4:], 59)
	seconds = int64(hours)*60*60 + int64(minutes)*60
	if text[0] == '-' {
		seconds = -seconds
	}
	return seconds, ok1 && ok2
}

// twoDigits reads the first two bytes as a number from 0 to limit.
func twoDigits(text []byte, limit int) (int, bool) {
	a, b := text[0]-'0', text[1]-'0'
	n := int(a)*10 + int(b)
	return n, a <= 9 && b <= 9 && n <= limit
}

func instantOf(seconds, nanos int64) (billing.Instant, bool) {
	return billing.InstantOf(time.Unix(seconds, nanos))
}

package audit

import (
	"math"
	"math/big"
	"strings"
	"time"
)

// moment is a date or a time in UTC.
type moment struct {
	time.Time
	date bool // without a time of day
}

// The smallest and the greatest time of an event.
var (
	epoch = time.Unix(0, 0).UTC()
	end   = time.Unix(0, math.MaxInt64).UTC()
)

// parseMoment parses YYYY-MM-DD as its 00:00 UTC, or an RFC 3339 time with an offset, in the years 1970 to 2262. Digits
// after the nanosecond are truncated; leap seconds are refused.
func parseMoment(s string) (m moment, ok bool) {
	const date, clock = "2006-01-02", "2006-01-02T15:04:05"
	if len(s) == len(date) {
		t, err := time.Parse(date, s)
		return moment{t, true}, err == nil && inRange(t)
	}
	s = strings.ToUpper(s)
	if len(s) <= len(clock) {
		return m, false
	}
	t, err := time.Parse(clock, s[:len(clock)])
	rest := s[len(clock):]
	if err != nil {
		return m, false
	}
	if fraction, dotted := strings.CutPrefix(rest, "."); dotted {
		n := len(fraction) - len(strings.TrimLeft(fraction, "0123456789"))
		if n == 0 {
			return m, false
		}
		nanos, _ := new(big.Int).SetString((fraction[:n] + "000000000")[:9], 10)
		t = t.Add(time.Duration(nanos.Int64()))
		rest = fraction[n:]
	}
	if rest != "Z" {
		if len(rest) != len("+15:04") || rest[0] != '+' && rest[0] != '-' {
			return m, false
		}
		zone, err := time.Parse("15:04", rest[1:])
		if err != nil {
			return m, false
		}
		east := time.Duration(zone.Hour())*time.Hour + time.Duration(zone.Minute())*time.Minute
		if rest[0] == '-' {
			east = -east
		}
		t = t.Add(-east)
	}
	return moment{Time: t}, inRange(t)
}

func inRange(t time.Time) bool { return !t.Before(epoch) && !t.After(end) }

// day is the date in UTC.
func (m moment) day() string { return m.Format("2006-01-02") }

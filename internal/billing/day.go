package billing

import "time"

// Day is a civil date in UTC, as days since 1970-01-01. A usage day is
// half-open: [Start, next Start).
type Day int32

// DayOf is the UTC day that t falls in.
func DayOf(t time.Time) Day { panic("not built yet") }

// ParseDay reads YYYY-MM-DD, years 0001 to 9999.
func ParseDay(s string) (Day, error) { panic("not built yet") }

// String is YYYY-MM-DD.
func (d Day) String() string { panic("not built yet") }

// Start is the day's first moment, 00:00 UTC.
func (d Day) Start() time.Time { panic("not built yet") }

// Month is the day's month as YYYY-MM.
func (d Day) Month() Period { panic("not built yet") }

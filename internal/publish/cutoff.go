package publish

import (
	"fmt"
	"time"

	"daybook/internal/billing"
)

// TimeOfDay is a time of day in UTC, as the time since midnight.
type TimeOfDay time.Duration

// UnmarshalText reads HH:MM.
func (t *TimeOfDay) UnmarshalText(text []byte) error {
	at, err := time.Parse("15:04", string(text))
	if err != nil {
		return fmt.Errorf("time of day %q is not HH:MM", text)
	}
	*t = TimeOfDay(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute)
	return nil
}

// MarshalText is String.
func (t TimeOfDay) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// String is HH:MM.
func (t TimeOfDay) String() string {
	m := int(time.Duration(t) / time.Minute)
	return fmt.Sprintf("%02d:%02d", m/60, m%60)
}

// Of is the moment at which a usage date becomes due: this time of day on the next day.
func (t TimeOfDay) Of(d billing.Day) time.Time {
	return (d + 1).Start().Add(time.Duration(t))
}

// LastDue is the newest usage date that is due as of a moment.
func (t TimeOfDay) LastDue(asOf time.Time) billing.Day {
	return billing.DayOf(asOf.Add(-time.Duration(t))) - 1
}

// AsOf is a moment given by the user; the zero value means now.
type AsOf struct{ time.Time }

// UnmarshalText reads RFC 3339, or a date for its 00:00 UTC.
func (a *AsOf) UnmarshalText(text []byte) error {
	if at, err := time.Parse(time.RFC3339, string(text)); err == nil {
		a.Time = at.UTC()
		return nil
	}
	d, err := billing.ParseDay(string(text))
	if err != nil {
		return fmt.Errorf("as-of %q is neither RFC 3339 nor a date", text)
	}
	a.Time = d.Start()
	return nil
}

// MarshalText is RFC 3339, and empty for now.
func (a AsOf) MarshalText() ([]byte, error) {
	if a.IsZero() {
		return nil, nil
	}
	return []byte(a.Format(time.RFC3339Nano)), nil
}

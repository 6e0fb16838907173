package delivery

import (
	"fmt"
	"strings"

	"daybook/internal/billing"
)

// maxWindowDays bounds a window. A longer one is a typing mistake.
const maxWindowDays = 3660

// Window is a range of usage dates, both inclusive.
type Window struct{ From, To billing.Day }

// UnmarshalText parses FROM..TO.
func (w *Window) UnmarshalText(text []byte) error {
	from, to, ok := strings.Cut(string(text), "..")
	if !ok {
		return fmt.Errorf("%q is not FROM..TO, two dates YYYY-MM-DD", text)
	}
	var err error
	if w.From, err = billing.ParseDay(from); err != nil {
		return fmt.Errorf("%q: %w", from, err)
	}
	if w.To, err = billing.ParseDay(to); err != nil {
		return fmt.Errorf("%q: %w", to, err)
	}
	if w.To < w.From || w.To-w.From >= maxWindowDays {
		return fmt.Errorf("%s is not a range of 1 to %d days", text, maxWindowDays)
	}
	return nil
}

// MarshalText returns String.
func (w Window) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// String returns FROM..TO.
func (w Window) String() string { return w.From.String() + ".." + w.To.String() }

// Contains reports whether d is in the window. A nil window contains no day.
func (w *Window) Contains(d billing.Day) bool { return w != nil && w.From <= d && d <= w.To }

// overlaps reports whether two windows share a day.
func (w Window) overlaps(v Window) bool { return w.From <= v.To && v.From <= w.To }

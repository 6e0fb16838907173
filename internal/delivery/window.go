package delivery

import (
	"fmt"
	"strings"

	"daybook/internal/billing"
)

// maxWindowDays bounds a window; a longer one is a slip of the pen.
const maxWindowDays = 3660

// Window is a range of usage dates, both inclusive.
type Window struct{ From, To billing.Day }

// UnmarshalText reads FROM..TO.
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

// MarshalText is String.
func (w Window) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// String is FROM..TO.
func (w Window) String() string { return w.From.String() + ".." + w.To.String() }

// Contains reports whether d is in the window. A nil window holds no day.
func (w *Window) Contains(d billing.Day) bool { return w != nil && w.From <= d && d <= w.To }

// overlaps reports whether two windows share a day.
func (w Window) overlaps(v Window) bool { return w.From <= v.To && v.From <= w.To }

package produce

import (
	"fmt"
	"strings"
	"time"
)

// utcTime parses a time as providers write it: RFC 3339, with a space instead of the T, or without an offset if the
// specification of the format says UTC.
func utcTime(text string) (time.Time, error) {
	canonical := text
	if len(text) > len("2006-01-02") && text[10] == ' ' {
		canonical = text[:10] + "T" + text[11:]
	}
	if t, err := time.Parse(time.RFC3339Nano, canonical); err == nil {
		return t.UTC(), nil
	}
	if t, err := time.Parse("2006-01-02T15:04:05.999999999", canonical); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.DateOnly, canonical); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time", shorten(text))
}

// startOf parses the start of an interval START/END.
func startOf(interval value) value {
	if interval == nil {
		return nil
	}
	return func(cells []string) (string, error) {
		text, err := interval(cells)
		start, _, _ := strings.Cut(text, "/")
		return start, err
	}
}

// dayOf is the UTC day of a time. A row without one cannot be mapped.
func dayOf(moment value, column string) value {
	return func(cells []string) (string, error) {
		text, err := moment(cells)
		if err != nil {
			return "", err
		}
		t, err := utcTime(text)
		if err != nil {
			return "", fmt.Errorf("%w: %s: %w", errBadRow, column, err)
		}
		return t.Format(time.DateOnly), nil
	}
}

// otherMonth is the month of a time if it differs from the month of the usage day, else empty.
func otherMonth(moment, day value, column string) value {
	if moment == nil || day == nil {
		return nil
	}
	return func(cells []string) (string, error) {
		text, err := moment(cells)
		if err != nil || text == "" {
			return "", err
		}
		t, err := utcTime(text)
		if err != nil {
			return "", fmt.Errorf("%w: %s: %w", errBadRow, column, err)
		}
		month := t.Format("2006-01")
		if usage, err := day(cells); err == nil && strings.HasPrefix(usage, month) {
			return "", nil
		}
		return month, nil
	}
}

// shorten bounds the part of a row that a message quotes.
func shorten(text string) string {
	const most = 64
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

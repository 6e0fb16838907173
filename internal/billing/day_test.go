package billing

import (
	"encoding/json"
	"errors"
	"testing"
	"time"
)

// All days of the years 1 to 9999 are compared with the calendar of package time.
func TestDayAgreesWithTheCalendar(t *testing.T) {
	t.Parallel()
	want := DayOf(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))
	var buf []byte
	for at := time.Date(1, 1, 1, 23, 59, 59, 999999999, time.UTC); at.Year() <= 9999; at = at.AddDate(0, 0, 1) {
		buf = at.AppendFormat(buf[:0], time.DateOnly)
		got, err := ParseDay(string(buf))
		if err != nil || got != want || DayOf(at) != want {
			t.Fatalf("%s: ParseDay = %d, %v; DayOf = %d; want %d", buf, got, err, DayOf(at), want)
		}
		want++
	}
}

func TestParseDayRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "2025-1-01", "2025-01-1", "2025-00-10", "2025-13-01", "2025-01-00", "2025-01-32", "2025-02-29", "1900-02-29",
		"2025-04-31", "0000-01-01", "2025/01/01", "2025-01-01T", " 2025-01-01", "-025-01-01", "2025-+1-01", "20250101", "２025-01-0",
	} {
		if d, err := ParseDay(s); !errors.Is(err, ErrDay) {
			t.Errorf("ParseDay(%q) = %s, %v", s, d, err)
		}
	}
}

func TestDayText(t *testing.T) {
	t.Parallel()
	d, err := ParseDay("2024-02-29")
	if err != nil {
		t.Fatal(err)
	}
	if d.String() != "2024-02-29" || d.Month() != "2024-02" || d.Start() != time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC) {
		t.Errorf("%s, %s, %s", d, d.Month(), d.Start())
	}
	text, err := json.Marshal(map[Day]Day{d: d + 1})
	if err != nil || string(text) != `{"2024-02-29":"2024-03-01"}` {
		t.Fatalf("Marshal = %s, %v", text, err)
	}
	var back map[Day]Day
	if err := json.Unmarshal(text, &back); err != nil || back[d] != d+1 {
		t.Errorf("Unmarshal = %v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`"2024-02-30"`), &d); !errors.Is(err, ErrDay) {
		t.Errorf("Unmarshal of no date: %v", err)
	}
	if got := DayOf(time.Date(1969, 12, 31, 23, 0, 0, 0, time.UTC)); got != -1 {
		t.Errorf("the day before the epoch is %d", got)
	}
	if got := DayOf(time.Date(2025, 1, 1, 23, 0, 0, 0, time.FixedZone("", -2*3600))).String(); got != "2025-01-02" {
		t.Errorf("23:00-02:00 is in %s", got)
	}
}

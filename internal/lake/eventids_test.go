package lake

import (
	"fmt"
	"slices"
	"testing"

	"daybook/internal/billing"
)

// TestRepeatedEvents: an event id that is in several account-days of a release is found, whatever the number of
// passes; the same id in one account-day alone is not.
func TestRepeatedEvents(t *testing.T) {
	l, _ := memLake()
	s := l.Tenant("acme")
	lock(t, s)
	one := publishDays(t, s, "1", "2025-01-01")
	several := publishDays(t, s, "1", "2025-01-02", "2025-01-03") // the helper uses the same ids on each day
	for _, limit := range []int64{1, 2, 3, 1000} {
		got, err := s.repeatedEvents(one, limit)
		if err != nil || len(got) != 0 {
			t.Errorf("at most %d hashes, one day: %v, %v", limit, got, err)
		}
		if got, err = s.repeatedEvents(several, limit); err != nil {
			t.Fatal(err)
		}
		lines := make([]string, 0, len(got))
		for _, r := range got {
			lines = append(lines, r.String())
		}
		var want []string
		for id, account := range map[billing.EventID]string{"a": "0001", "b": "0001", "c": "0002"} {
			want = append(want, fmt.Sprintf(`event %q is in 3 account-days: account %[2]q on 2025-01-01, account %[2]q on 2025-01-02, account %[2]q on 2025-01-03`, id, account))
		}
		slices.Sort(want)
		if !slices.Equal(lines, want) {
			t.Errorf("at most %d hashes: %q, want %q", limit, lines, want)
		}
	}
}

package clock_test

import (
	"testing"
	"time"

	"daybook/internal/clock"
)

func TestSetBack(t *testing.T) {
	at := time.Date(2025, 1, 2, 2, 0, 0, 0, time.UTC)
	boot := clock.BootID{1}
	earlier := clock.Reading{Wall: at, Boot: boot, Uptime: time.Hour}
	for _, tc := range []struct {
		name       string
		later      clock.Reading
		comparable bool
		back       time.Duration
	}{
		{"no step", clock.Reading{Wall: at.Add(time.Minute), Boot: boot, Uptime: time.Hour + time.Minute}, true, 0},
		{"jitter", clock.Reading{Wall: at.Add(time.Minute - 50*time.Millisecond), Boot: boot, Uptime: time.Hour + time.Minute}, true, 0},
		{"set back, still later", clock.Reading{Wall: at.Add(time.Minute), Boot: boot, Uptime: time.Hour + 3*time.Minute}, true, 2 * time.Minute},
		{"set back before it", clock.Reading{Wall: at.Add(-time.Minute), Boot: boot, Uptime: time.Hour + time.Minute}, true, 2 * time.Minute},
		{"set forward", clock.Reading{Wall: at.Add(time.Hour), Boot: boot, Uptime: time.Hour + time.Minute}, true, 0},
		{"another start", clock.Reading{Wall: at.Add(time.Hour), Boot: clock.BootID{2}, Uptime: 2 * time.Hour}, false, 0},
		{"a machine that was put back to an earlier moment", clock.Reading{Wall: at.Add(time.Hour), Boot: boot, Uptime: time.Minute}, false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.later.Comparable(earlier); got != tc.comparable {
				t.Fatalf("comparable %t, want %t", got, tc.comparable)
			}
			if got, want := tc.later.Since(earlier), tc.later.Uptime-earlier.Uptime; tc.comparable && got != want {
				t.Errorf("%s passed, want %s", got, want)
			}
			if got := tc.later.SetBack(earlier); tc.comparable && got != tc.back {
				t.Errorf("set back by %s, want %s", got, tc.back)
			}
		})
	}
}

// TestNow: readings of one process are comparable, and no step is seen where none was.
func TestNow(t *testing.T) {
	a := clock.At(time.Now)
	time.Sleep(time.Millisecond)
	b := clock.At(time.Now)
	if !b.Comparable(a) || b.SetBack(a) != 0 {
		t.Errorf("%+v after %+v: comparable %t, set back by %s", b, a, b.Comparable(a), b.SetBack(a))
	}
	if b.Boot != (clock.BootID{}) && b.Uptime <= a.Uptime {
		t.Errorf("the uptime is %s after %s", b.Uptime, a.Uptime)
	}
}

package state

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/clock"
)

func TestCaughtUpBy(t *testing.T) {
	at := time.Date(2025, 1, 2, 3, 0, 0, 0, time.UTC)
	here := clock.BootID{1}
	p := Position{CaughtUpAt: at, CaughtUpBoot: here, CaughtUpUptime: time.Hour}
	for _, tc := range []struct {
		name     string
		position Position
		now      clock.Reading
		want     Doubt
	}{
		{"the same clock", p, clock.Reading{Wall: at.Add(time.Minute), Boot: here, Uptime: time.Hour + time.Minute}, ""},
		{"set forward since", p, clock.Reading{Wall: at.Add(time.Hour), Boot: here, Uptime: time.Hour + time.Minute}, ""},
		{"in the future", p, clock.Reading{Wall: at.Add(-149 * time.Second), Boot: here, Uptime: time.Hour + time.Second}, DoubtFuture},
		{"set back since, and real time has reached it", p, clock.Reading{Wall: at.Add(time.Second), Boot: here, Uptime: time.Hour + 151*time.Second}, DoubtSetBack},
		{"set back by years, and real time has reached it", p, clock.Reading{Wall: at.Add(time.Second), Boot: here, Uptime: 5 * 365 * 24 * time.Hour}, DoubtSetBack},
		{"another boot", p, clock.Reading{Wall: at.Add(time.Hour), Boot: clock.BootID{2}, Uptime: 2 * time.Hour}, DoubtOtherBoot},
		{"a machine put back to an earlier moment", p, clock.Reading{Wall: at.Add(time.Hour), Boot: here, Uptime: time.Minute}, DoubtOtherBoot},
		{"a clock that tells nothing, here", p, clock.Reading{Wall: at.Add(time.Hour)}, DoubtOtherBoot},
		{"clocks that tell nothing, on both sides", Position{CaughtUpAt: at}, clock.Reading{Wall: at.Add(time.Hour)}, ""},
		{"clocks that tell nothing, in the future", Position{CaughtUpAt: at}, clock.Reading{Wall: at.Add(-time.Second)}, DoubtFuture},
		{"never caught up", Position{}, clock.Reading{Wall: at, Boot: here}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, doubt := tc.position.CaughtUpBy(tc.now)
			if doubt != tc.want {
				t.Errorf("doubt %q, want %q", doubt, tc.want)
			}
			if counts := doubt == "" && !tc.position.CaughtUpAt.IsZero(); counts != got.Equal(at) {
				t.Errorf("caught up at %v", got)
			}
		})
	}
}

// TestWithdrawDoubtful: doubtful evidence is gone for good, other evidence stays, and without any nothing is written.
func TestWithdrawDoubtful(t *testing.T) {
	s := newStore(t, Options{FS: vfs.NewMem()})
	defer s.Close()
	now := clock.Reading{Wall: testTime, Boot: clock.BootID{1}, Uptime: time.Hour}
	ahead := now
	ahead.Wall = now.Wall.Add(150 * time.Second)
	b := &Batch{}
	for p, at := range []clock.Reading{now, ahead} {
		id := PartitionID{Partition: int32(p)}
		b.Advances = append(b.Advances, Advance{Partition: id, LastOffset: -1})
		b.CaughtUp = append(b.CaughtUp, NewCaughtUp(id, at))
	}
	if _, err := s.Apply(b); err != nil {
		t.Fatal(err)
	}
	later := clock.Reading{Wall: now.Wall.Add(200 * time.Second), Boot: now.Boot, Uptime: now.Uptime + 200*time.Second}
	doubts, err := s.WithdrawDoubtful(later)
	if err != nil || len(doubts) != 1 || doubts[PartitionID{Partition: 1}] != DoubtSetBack {
		t.Fatalf("withdrew %v, %v", doubts, err)
	}
	r, err := s.Reader()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	positions, err := r.Positions()
	if err != nil {
		t.Fatal(err)
	}
	if !positions[0].CaughtUpAt.Equal(now.Wall) || positions[0].CaughtUpUptime != now.Uptime || !positions[1].CaughtUpAt.IsZero() {
		t.Errorf("positions %+v", positions)
	}
	again, err := s.WithdrawDoubtful(later)
	after, readErr := s.Reader()
	if err != nil || readErr != nil || again != nil {
		t.Fatalf("withdrew again: %v, %v, %v", again, err, readErr)
	}
	defer after.Close()
	if after.Head() != r.Head() {
		t.Errorf("write %d after write %d, though nothing is doubtful", after.Head().Sequence, r.Head().Sequence)
	}
}

package publish

import (
	"fmt"
	"reflect"
	"testing"

	"daybook/internal/billing"
	"daybook/internal/lake"
	"daybook/internal/state"
)

// TestPlanScansAgainForAnotherRelease: what a scan for another release found is not used.
func TestPlanScansAgainForAnotherRelease(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.publish()
	w.push(event("a1-3", "a1", "compute", "2025-01-03", "4", 2))
	w.caughtUp()
	checkpoint, in, err := w.publisher().input(t.Context())
	w.check(err)
	defer func() { w.check(checkpoint.Close()) }()
	stale, err := readChanges(in, billing.DefaultTenant, false, map[billing.Day]state.Sequence{})
	w.check(err)
	if stale.count != 14 {
		t.Fatalf("%d account-days changed since no release", stale.count)
	}
	current := w.current()
	for name, c := range map[string]*changes{"none": nil, "of another release": stale} {
		p := planner{in: in, tenant: billing.DefaultTenant, cutoff: w.cfg.Cutoff, prev: current, changes: c}
		got, err := p.plan()
		w.check(err)
		want := map[billing.Day]map[billing.AccountID][]string{day("2025-01-03"): {"a1": {"corrected"}}}
		if !reflect.DeepEqual(got.changed, want) {
			t.Errorf("%s: changed %v, want %v", name, got.changed, want)
		}
		if p.changes == stale || p.changes.count != 1 {
			t.Errorf("%s: the stale scan was used", name)
		}
		again := planner{in: in, tenant: billing.DefaultTenant, cutoff: w.cfg.Cutoff, prev: current, changes: p.changes}
		if _, err := again.plan(); err != nil || again.changes != p.changes {
			t.Errorf("%s: a scan for this release was not used (%v)", name, err)
		}
	}
}

// TestChangedEvents: a range of accounts changed if one of them is dirty.
func TestChangedEvents(t *testing.T) {
	dirty := map[billing.AccountID][]string{"b": nil, "d": nil, "f": nil}
	changed := (&dayBuilder{}).changedEvents(&dayPlan{prev: &lake.DayEntry{}, known: true, dirty: dirty}, dayRows{}, nil, &dayResult{})
	for _, first := range []billing.AccountID{"a", "b", "c", "d", "e", "f", "g"} {
		for _, last := range []billing.AccountID{"a", "b", "c", "d", "e", "f", "g"} {
			want := false
			for a := range dirty {
				want = want || first <= a && a <= last
			}
			if got := changed(first, last); last >= first && got != want {
				t.Errorf("%s to %s: %t", first, last, got)
			}
		}
	}
}

// BenchmarkChangedEvents asks for each of many cuts of a day whether one of many dirty accounts is in it.
func BenchmarkChangedEvents(b *testing.B) {
	const accounts = 10_000
	dirty := make(map[billing.AccountID][]string, accounts)
	for i := range accounts {
		dirty[billing.AccountID(fmt.Sprintf("a%05d", 2*i))] = nil
	}
	w := &dayPlan{prev: &lake.DayEntry{}, known: true, dirty: dirty}
	for b.Loop() {
		changed := (&dayBuilder{}).changedEvents(w, dayRows{}, nil, &dayResult{})
		for i := range accounts {
			a := billing.AccountID(fmt.Sprintf("a%05d", 2*i+1))
			changed(a, a)
		}
	}
}

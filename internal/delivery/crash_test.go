package delivery

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/billing"
	"daybook/internal/disk"
	"daybook/internal/test/disktest"
	"daybook/internal/test/rot"
)

// replaceJuly loads ids as the complete content of July, exported at at. began says whether records
// may have been pushed.
func replaceJuly(fsys disk.FS, at billing.Instant, ids ...billing.EventID) (began bool, err error) {
	x, err := open(fsys, "/deliveries", "billing", "aa", "cur", false)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	s := x.Sorter()
	for _, id := range ids {
		if err := s.Add(NewEntry("default", id, day("2025-07-01"), at)); err != nil {
			return false, err
		}
	}
	p, err := x.Plan(Load{Mode: Replace, Window: Window{day("2025-07-01"), day("2025-07-31")}, At: at, ID: NewLoadID(), MaxShrinkPercent: 100}, s)
	if err == nil {
		err = p.Begin()
	}
	if err != nil {
		return false, err
	}
	for _, err := range p.Deletes() {
		if err != nil {
			return true, err
		}
	}
	return true, p.Finish()
}

// heldInJuly are the ids that an empty delivery of July would delete.
func heldInJuly(fsys disk.FS) (ids []string, err error) {
	x, err := open(fsys, "/deliveries", "billing", "aa", "cur", false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	p, err := x.Plan(Load{Mode: Replace, Window: Window{day("2025-07-01"), day("2025-07-31")}, At: 1000, MaxShrinkPercent: 100}, x.Sorter())
	if err != nil {
		return nil, err
	}
	for e, err := range p.Deletes() {
		if err != nil {
			return nil, err
		}
		ids = append(ids, string(e.ID()))
	}
	return ids, nil
}

// checkHeld sees what an index holds after a load of b and c over a and b was cut short.
func checkHeld(fsys disk.FS, began, done bool) error {
	got, err := heldInJuly(fsys)
	if err != nil {
		return err
	}
	allowed := map[string]bool{"a b c": true, "b c": true, "a b": !began}
	if done {
		allowed = map[string]bool{"b c": true}
	}
	if text := fmt.Sprint(got); !allowed[text[1:len(text)-1]] {
		return fmt.Errorf("it holds %v; allowed %q", got, slices.Sorted(maps.Keys(allowed)))
	}
	return nil
}

// TestIndexAtEachFault fails each operation of a load in turn, in its place and after it, and cuts
// the power then: the index opens, holds every id that the topic may have, and the load's ids alone
// once the load has finished.
func TestIndexAtEachFault(t *testing.T) {
	errFault := errors.New("injected fault")
	for _, afterwards := range []bool{false, true} {
		for i := 1; ; i++ {
			under := rot.NewCrashable()
			faults := disktest.NewFaults(disktest.Mem(under))
			if _, err := replaceJuly(faults, 1, "a", "b"); err != nil {
				t.Fatal(err)
			}
			hit := faults.FailAt(i, errFault, afterwards)
			began, err := replaceJuly(faults, 2, "b", "c")
			faults.Quiet()
			if !*hit {
				if err != nil || i < 20 {
					t.Fatalf("%d operations: %v", i, err)
				}
				break
			}
			for _, percent := range []int{0, 50, 100} {
				crashed := under.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(i), 1))})
				if err := checkHeld(disktest.Mem(crashed), began, err == nil); err != nil {
					t.Errorf("power cut after operation %d failed, afterwards %v: %v", i, afterwards, err)
				}
			}
			if err := checkHeld(faults, began, err == nil); err != nil {
				t.Errorf("operation %d failed, afterwards %v: %v", i, afterwards, err)
			}
		}
	}
}

// TestIndexAtEachCrash cuts the power before each operation of a load.
func TestIndexAtEachCrash(t *testing.T) {
	under := rot.NewCrashable()
	faults := disktest.NewFaults(disktest.Mem(under))
	if _, err := replaceJuly(faults, 1, "a", "b"); err != nil {
		t.Fatal(err)
	}
	var crashes []*rot.Crashable
	faults.Before = func(disktest.Op, string) error {
		for _, percent := range []int{0, 50, 100} {
			crashes = append(crashes, under.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(len(crashes)), 2))}))
		}
		return nil
	}
	if _, err := replaceJuly(faults, 2, "b", "c"); err != nil {
		t.Fatal(err)
	}
	if len(crashes) < 60 {
		t.Fatalf("only %d crashes", len(crashes))
	}
	for i, crashed := range crashes {
		if err := checkHeld(disktest.Mem(crashed), false, false); err != nil {
			t.Errorf("crash %d: %v", i, err)
		}
	}
	if err := checkHeld(disktest.Mem(under.CrashClone(vfs.CrashCloneCfg{})), true, true); err != nil {
		t.Error(err)
	}
}

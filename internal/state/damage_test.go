package state_test

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/billing"
	"daybook/internal/state"
	"daybook/internal/test/rot"
)

const damageDir = "/state"

// damageOptions write each batch as tables.
func damageOptions(fs vfs.FS) state.Options {
	return state.Options{FS: fs, CacheBytes: 8 << 20, MemTableBytes: 1 << 20, FilterBytes: 1 << 16, BulkRecords: 1,
		Fatal: func(err error) { panic(err) }}
}

// damageFiles are the files of a state of 500 events of one day, a third of them corrected.
func damageFiles(t *testing.T) map[string][]byte {
	t.Helper()
	fs := vfs.NewMem()
	o := damageOptions(fs)
	if err := state.Create(damageDir, state.Identity{Cluster: "c", Topics: []state.Topic{{Name: "billing"}}, Rules: billing.DefaultRules()}, o); err != nil {
		t.Fatal(err)
	}
	s, err := state.Open(damageDir, o)
	if err != nil {
		t.Fatal(err)
	}
	const events = 500
	from := int64(0)
	for _, n := range []int64{events, events / 3} {
		b := &state.Batch{Advances: []state.Advance{{From: from, Next: from + n, Delivered: n}}}
		for i := range n {
			b.Add(state.Record{Event: billing.Event{
				Tenant: "default", ID: billing.EventID(fmt.Sprintf("%08x-0000-4000-8000-00000000beef", i)), Account: billing.AccountID(fmt.Sprint("a", i%7)),
				Service: "compute", Day: 100, Cost: billing.MoneyFromParts(0, uint64(from+i+1)*1e16),
				Version: billing.Version{IngestedAt: billing.Instant(from+i) * 1e9, Source: billing.Source{Offset: from + i}},
			}})
		}
		if _, err := s.Apply(b); err != nil {
			t.Fatal(err)
		}
		from += n
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := rot.Files(fs, damageDir)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// drain reads all of a sequence and returns its error.
func drain[V any](all iter.Seq2[V, error]) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestEveryReadNamesDamage flips single bits of a state's tables. Whichever way of reading meets the block says
// ErrDamaged, once, with the remedy. Check reports the damage as a fault, Compare as an error.
func TestEveryReadNamesDamage(t *testing.T) {
	files := damageFiles(t)
	disk, err := rot.Disk(files)
	if err != nil {
		t.Fatal(err)
	}
	sound, err := state.OpenReader(damageDir, damageOptions(disk))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sound.Close() }()
	met := map[string]int{}
	flip := func(name string, at int) {
		damaged := slices.Clone(files[name])
		damaged[at] ^= 1 << (at % 8)
		disk, err := rot.Disk(replaced(files, name, damaged))
		if err != nil {
			t.Fatal(err)
		}
		where := fmt.Sprintf("%s, byte %d", name, at)
		named := func(how string, err error) {
			t.Helper()
			switch {
			case err == nil:
				return
			case !errors.Is(err, state.ErrDamaged):
				t.Errorf("%s: %s: not ErrDamaged: %v", where, how, err)
			case strings.Count(err.Error(), state.ErrDamaged.Error()) != 1 || strings.Count(err.Error(), "remedy") != 1:
				t.Errorf("%s: %s: not one refusal with its remedy: %v", where, how, err)
			}
			met[how]++
		}
		r, err := state.OpenReader(damageDir, damageOptions(disk))
		if err != nil {
			named("OpenReader", err)
			return
		}
		defer func() { _ = r.Close() }()
		events, costs := drain(r.Events("default", 100, "", "")), drain(r.Costs("default", 100, "", ""))
		named("Events", events)
		named("Costs", costs)
		named("Markers", drain(r.Markers("default", 0, 1000)))
		var winners error
		for i := 0; i < 500 && winners == nil; i += 30 {
			_, _, winners = r.Winner("default", billing.EventID(fmt.Sprintf("%08x-0000-4000-8000-00000000beef", i)))
		}
		named("Winner", winners)
		_, compare := state.Compare(sound, r, nil)
		named("Compare", compare)
		if (events == nil) != (costs == nil) {
			t.Errorf("%s: Events says %v, Costs %v", where, events, costs)
		}
		faults, err := r.Check(nil)
		if err != nil || len(faults) == 0 && (events != nil || costs != nil || compare != nil) {
			t.Errorf("%s: Check finds %d faults, %v; Compare says %v, Events %v", where, len(faults), err, compare, events)
		}
	}
	for name, file := range files {
		if strings.HasSuffix(name, ".sst") {
			for at := 100; at < len(file); at += max(len(file)/4, 1) {
				flip(name, at)
			}
		}
	}
	for _, how := range []string{"Events", "Costs", "Winner", "Compare"} {
		if met[how] < 3 {
			t.Errorf("only %d damages were met by %s", met[how], how)
		}
	}
	t.Log(met)
}

// replaced is files with one of them replaced.
func replaced(files map[string][]byte, name string, content []byte) map[string][]byte {
	all := maps.Clone(files)
	all[name] = content
	return all
}

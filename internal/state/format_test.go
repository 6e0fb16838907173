package state

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"daybook/internal/billing"
)

var update = flag.Bool("update", false, "write golden files instead of comparing")

// TestFormat holds every kind of row against a golden file: a change to it is a change of format.
func TestFormat(t *testing.T) {
	o := testOptions(vfs.NewMem()).withDefaults()
	id := testIdentity()
	id.Format, id.Database, id.Partitions, id.CreatedAt = FormatVersion, "00112233445566778899aabbccddeeff", "all", testTime
	if err := mkdirAll(o.FS, "state"); err != nil {
		t.Fatal(err)
	}
	if err := build(filepath.Join("state", LiveDir), id, o); err != nil {
		t.Fatal(err)
	}
	s, err := Open("state", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	writeOneOfEach(t, s)
	checkClean(t, s)

	var got bytes.Buffer
	names := map[byte]string{
		spaceIdentity: "identity", spaceBase: "base", spaceJournal: "journal", spaceKept: "kept", spacePosition: "position",
		spaceDecision: "decision", spaceCovered: "covered", spaceTenant: "tenant", spaceLocator: "locator", spaceRecord: "record",
		spaceMarker: "marker", spaceTie: "tie", spaceAmended: "amended", spaceQuarantine: "quarantine", spacePayload: "payload",
		spaceByEvent: "by event", spaceByDay: "by day",
	}
	seen := map[byte]bool{}
	err = s.view.scan(nil, nil, func(key, value []byte) error {
		seen[key[0]] = true
		fmt.Fprintf(&got, "%s\n  %x\n  %x\n", names[key[0]], key, value)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != len(names) {
		t.Errorf("%d of %d keyspaces have a row", len(seen), len(names))
	}
	golden := filepath.Join("testdata", "format.golden")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("rows are not those of format %d: if they are meant to be, give it another number, and run with -update\n%s", FormatVersion, got.String())
	}
}

// writeOneOfEach leaves a row of every keyspace, and values with every optional field.
func writeOneOfEach(t *testing.T, s *Store) {
	t.Helper()
	full := event("0123abcd-0000-4000-8000-00000000beef", "acct|1", -3, 123456, 1_736_000_000, 0)
	e := &full.Event
	e.Region, e.PricingModel, e.Category, e.Period, e.Attributes = "eu-1", "spot", "Usage", "2025-01", `{"team":"a"}`
	e.Version.SourceRevision = 2
	wide := event("wide\x00\x01\x02", "acct-2", 20_000, 0, 1_736_000_001, 1)
	wide.Event.Cost = billing.MoneyFromParts(-1<<40, 7)
	tied := event("tied", "acct-2", 20_000, 5, 1_736_000_001, 2)
	other := event("tied", "acct-2", 20_000, 6, 1_736_000_001, 3)
	gone := event("gone", "acct-3", 20_001, 5, 1_736_000_001, 4)
	deletion := Record{Event: billing.Event{Op: billing.Delete, Tenant: "default", ID: "gone",
		Version: billing.Version{IngestedAt: 1_736_000_002_500_000_000, Source: billing.Source{Offset: 5, RecordTime: 1_736_000_002_500}}}}
	apply(t, s, 0, full, wide, tied, other, gone, deletion)
	bad := func(offset int64, id billing.EventID) Record {
		return Record{Size: 9, Key: []byte("k"), Value: []byte(`{"a":"b"}`), Rejection: &billing.Rejection{
			Reason: "cost_negative", Detail: "no", Tenant: "other", Event: id, Account: "acct-9", Day: 20_000, HasDay: true,
			Cost: billing.MoneyFromParts(-1, 0), HasCost: true,
			Version: billing.Version{IngestedAt: 1, Source: billing.Source{Offset: offset, RecordTime: -1}},
		}}
	}
	apply(t, s, 6, bad(6, "x"), bad(7, "y"))
	apply(t, s, 8, event("wide\x00\x01\x02", "acct-2", 20_000, 7, 1_736_000_009, 8))
	_, err := s.Decide(Decision{Kind: QuarantineSettled, Who: "clerk", When: testTime, Why: "known", Records: []billing.Source{{Offset: 6, RecordTime: -1}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply((&delivered{CaughtUp: []CaughtUp{{At: testTime}}}).batch()); err != nil {
		t.Fatal(err)
	}
	if err := s.Covered("default", 2); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
}

// FuzzKeys reads keys that anyone may have written: an error or parts that are written and read as
// the same parts again, never a panic.
func FuzzKeys(f *testing.F) {
	add := func(a billing.AccountDay, id billing.EventID) { f.Add(appendRecordKey(nil, a, id)) }
	add(billing.AccountDay{Tenant: "default", Account: "a\x00\x01\x02b", Day: -1}, "e")
	add(billing.AccountDay{Tenant: "t", Account: "a", Day: 20_000}, "0123abcd-0000-4000-8000-00000000beef")
	f.Add([]byte{spaceRecord})
	f.Add([]byte{spaceRecord, 't', 0, 0x80, 0, 0, 0, 'a', 0, keyUUID, 1, 2})
	value := appendContent(nil, &billing.Event{})
	f.Fuzz(func(t *testing.T, key []byte) {
		var e, again billing.Event
		if parseRecord(key, value, &e, &texts{}) != nil {
			return
		}
		written := appendRecordKey(nil, e.AccountDay(), e.ID)
		if err := parseRecord(written, value, &again, &texts{}); err != nil || again != e {
			t.Errorf("%x is read as %+v, written as %x and read as %+v (%v)", key, e, written, again, err)
		}
	})
}

// FuzzValues reads values that anyone may have written: an error, never a panic.
func FuzzValues(f *testing.F) {
	e := event("e", "a", 1, 2, 3, 4)
	f.Add(appendContent(nil, &e.Event))
	f.Add(appendMoney(nil, billing.MoneyFromParts(-1<<40, 7)))
	f.Fuzz(func(t *testing.T, value []byte) {
		var got billing.Event
		if parseContent(value, &got, &texts{}) == nil {
			again := appendContent(nil, &got)
			var twice billing.Event
			if err := parseContent(again, &twice, &texts{}); err != nil || twice != got {
				t.Errorf("%+v is read back as %+v (%v)", got, twice, err)
			}
		}
		_, _ = parseLocator(value)
		_, _ = parsePosition(positionKey(PartitionID{}), value)
		_, _ = parseQuarantined(quarantineKey(spaceQuarantine, billing.Source{}), value)
		_, _ = parseEntry(sequenceKey(spaceJournal, 1), value, Head{})
		_, _ = parseBase(value)
		_, _ = parseMarker(appendMarkerKey(nil, billing.AccountDay{}, 0), value)
		_, _ = parseDecision(sequenceKey(spaceDecision, 1), value)
	})
}

// TestKeysKeepOrder: keys are ordered as what they are made of, and none is the beginning of another.
func TestKeysKeepOrder(t *testing.T) {
	text := rapid.OneOf(rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, 2, 3, 'a', 'b', '|', 0x7f, 'é'}), 0, 6, -1), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (billing.AccountDay, []byte) {
			a := billing.AccountDay{
				Tenant: billing.TenantID(text.Draw(t, name+" tenant")), Day: billing.Day(rapid.Int32().Draw(t, name+" day")),
				Account: billing.AccountID(text.Draw(t, name+" account")),
			}
			return a, appendAccountDayKey(nil, spaceRecord, a)
		}
		a, ka := draw("a")
		b, kb := draw("b")
		if a.Tenant != b.Tenant && rapid.Bool().Draw(t, "same tenant") {
			b.Tenant = a.Tenant
			kb = appendAccountDayKey(nil, spaceRecord, b)
		}
		if got, want := bytes.Compare(ka, kb), compareAccountDays(a, b); got != want {
			t.Fatalf("%+v and %+v compare as %d, their keys as %d", a, b, want, got)
		}
		if a != b && (bytes.HasPrefix(ka, kb) || bytes.HasPrefix(kb, ka)) {
			t.Fatalf("%x is the beginning of %x", ka, kb)
		}
	})
}

// compareAccountDays orders as the keys should: tenant, day, account.
func compareAccountDays(a, b billing.AccountDay) int {
	return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Day, b.Day), cmp.Compare(a.Account, b.Account))
}

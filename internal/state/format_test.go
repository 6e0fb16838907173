package state

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/billing"
	"daybook/internal/state/engine"
	"daybook/internal/state/format"
)

var update = flag.Bool("update", false, "write golden files instead of comparing")

// TestFormat holds every kind of row against a golden file: a change to it is a change of format.
func TestFormat(t *testing.T) {
	o := testOptions(vfs.NewMem()).withDefaults()
	id := testIdentity()
	id.Format, id.Database, id.Partitions, id.CreatedAt = FormatVersion, "00112233445566778899aabbccddeeff", "all", testTime
	if err := engine.MkdirAll(o.FS, "state"); err != nil {
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
		format.SpaceIdentity: "identity", format.SpaceBase: "base", format.SpaceJournal: "journal", format.SpaceKeptDigest: "kept", format.SpacePosition: "position",
		format.SpaceDecision: "decision", format.SpaceCovered: "covered", format.SpaceTenant: "tenant", format.SpaceLocator: "locator", format.SpaceRecord: "record",
		format.SpaceMarker: "marker", format.SpaceTie: "tie", format.SpaceOverlay: "amended", format.SpaceQuarantine: "quarantine", format.SpacePayload: "payload",
		format.SpaceByEvent: "by event", format.SpaceByDay: "by day",
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
	if err := s.SetCovered("default", 2); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
}

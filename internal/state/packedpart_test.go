package state

import (
	"reflect"
	"strings"
	"testing"

	"github.com/zeebo/xxh3"
	"pgregory.net/rapid"

	"daybook/internal/billing"
	"daybook/internal/state/format"
)

// TestPartGivesRecordsBack: what is packed comes back as it was, in its order, with the hash of its event and the
// digests of its rows, also where rows are larger than a slab, and when the part is used again.
func TestPartGivesRecordsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := PartitionID{Partition: 3}
		var p PackedPart
		for range rapid.IntRange(1, 3).Draw(t, "uses") {
			p.Reset(id)
			var records []Record
			for i := range rapid.IntRange(0, 30).Draw(t, "records") {
				r := drawRecord(t, billing.Source{Partition: id.Partition, Offset: int64(10 + i), RecordTime: -1})
				if r.Rejection == nil && rapid.IntRange(0, 3).Draw(t, "large") == 0 {
					long := strings.Repeat("\x00\x01\x02", rapid.IntRange(0, slabBytes/4).Draw(t, "length"))
					r.Event.ID += billing.EventID(long)
					if r.Event.Op != billing.Delete {
						r.Event.Attributes, r.Event.Account = long, billing.AccountID("a"+long)
					}
				}
				records = append(records, r)
				p.Add(&r)
			}
			givesBack(t, &p, records)
		}
	})
}

// givesBack fails unless p holds the records.
func givesBack(t *rapid.T, p *PackedPart, records []Record) {
	var strings format.Strings
	var locators, rows billing.Digest
	c := p.cursor()
	for _, want := range records {
		if !c.next() {
			t.Fatalf("%d rows of %d records", p.rows, len(records))
		}
		tenant, event := want.Event.Tenant, want.Event.ID
		if want.Rejection != nil {
			tenant, event = want.Rejection.Tenant, want.Rejection.Event
		}
		hash := xxh3.Uint128{}
		if tenant != "" && event != "" {
			hash = xxh3.Hash128(format.AppendEventKey(nil, tenant, event))
		}
		if c.hash != hash {
			t.Fatalf("event %q has the hash %v, want %v", event, c.hash, hash)
		}
		if r := c.unpackedRecord(); r != nil {
			if !reflect.DeepEqual(*r, want) {
				t.Fatalf("got %+v, want %+v", *r, want)
			}
			continue
		}
		var got billing.Event
		row := c.recordRow(0)
		if err := format.ParseRecord(row.row[:row.key], row.row[row.key:], &got, &strings); err != nil || got != want.Event {
			t.Fatalf("got %+v, %v, want %+v", got, err, want.Event)
		}
		locators = locators.Plus(format.HashLocator(c.b[c.at:c.recordAt()]))
		rows = rows.Plus(format.HashRecord(row.row))
		c.setGeneration(7)
		if g := format.LocatorGeneration(c.b[c.at:]); g != 7 {
			t.Fatalf("generation %d, want 7", g)
		}
	}
	if c.next() || p.rows != len(records) || p.locators != locators || p.records != rows {
		t.Fatalf("more than %d rows, or another digest", len(records))
	}
}

// TestPartHasTheRecordsOfItsAdvance: a record of another partition, or one outside its advance, is refused.
func TestPartHasTheRecordsOfItsAdvance(t *testing.T) {
	for name, offsets := range map[string][]int64{"before": {4, 5}, "after": {5, 8}, "inside": {5, 7}} {
		p := PackedPart{}
		for _, offset := range offsets {
			r := event("e", "a", 1, 1, offset, offset)
			p.Add(&r)
		}
		a := advance(5, 8)
		if err := p.within(&a); (err == nil) != (name == "inside") {
			t.Errorf("%s: %v", name, err)
		}
		if err := p.within(nil); err == nil {
			t.Errorf("%s: no error without an advance", name)
		}
		r := event("e", "a", 1, 1, 6, 6)
		r.Event.Version.Source.Partition = 1
		if p.Add(&r); p.within(&a) == nil {
			t.Errorf("%s: no error of a record of another partition", name)
		}
	}
}

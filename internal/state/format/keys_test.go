package format

import (
	"bytes"
	"cmp"
	"testing"

	"pgregory.net/rapid"

	"daybook/internal/billing"
)

// FuzzKeys reads keys that anyone may have written: an error or parts that are written and read as
// the same parts again, never a panic.
func FuzzKeys(f *testing.F) {
	add := func(a billing.AccountDay, id billing.EventID) { f.Add(AppendRecordKey(nil, a, id)) }
	add(billing.AccountDay{Tenant: "default", Account: "a\x00\x01\x02b", Day: -1}, "e")
	add(billing.AccountDay{Tenant: "t", Account: "a", Day: 20_000}, "0123abcd-0000-4000-8000-00000000beef")
	f.Add([]byte{SpaceRecord})
	f.Add([]byte{SpaceRecord, 't', 0, 0x80, 0, 0, 0, 'a', 0, UUIDTag, 1, 2})
	value := AppendRecordValue(nil, &billing.Event{})
	f.Fuzz(func(t *testing.T, key []byte) {
		var e, again billing.Event
		if ParseRecord(key, value, &e, &Strings{}) != nil {
			return
		}
		written := AppendRecordKey(nil, e.AccountDay(), e.ID)
		if err := ParseRecord(written, value, &again, &Strings{}); err != nil || again != e {
			t.Errorf("%x is read as %+v, written as %x and read as %+v (%v)", key, e, written, again, err)
		}
	})
}

// FuzzValues reads values that anyone may have written: an error, never a panic.
func FuzzValues(f *testing.F) {
	f.Add(AppendRecordValue(nil, &billing.Event{Service: "compute", Cost: billing.MoneyFromParts(0, 2e16), Version: billing.Version{
		IngestedAt: 3e9, Source: billing.Source{Offset: 4, RecordTime: 3000}}}))
	f.Add(AppendMoney(nil, billing.MoneyFromParts(-1<<40, 7)))
	f.Fuzz(func(t *testing.T, value []byte) {
		var got billing.Event
		if ParseRecordValue(value, &got, &Strings{}) == nil {
			again := AppendRecordValue(nil, &got)
			var twice billing.Event
			if err := ParseRecordValue(again, &twice, &Strings{}); err != nil || twice != got {
				t.Errorf("%+v is read back as %+v (%v)", got, twice, err)
			}
		}
		_, _ = ParseLocatorValue(value)
		_, _ = ParsePosition(PositionKey(PartitionID{}), value)
		_, _ = ParseQuarantined(QuarantineKey(SpaceQuarantine, billing.Source{}), value)
		_, _ = ParseEntry(SequenceKey(SpaceJournal, 1), value, Head{})
		_, _ = ParseJournal(value)
		_, _ = ParseMarker(AppendMarkerKey(nil, billing.AccountDay{}, 0), value)
		_, _ = ParseDecision(SequenceKey(SpaceDecision, 1), value)
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
			return a, AppendAccountDayPrefix(nil, SpaceRecord, a)
		}
		a, ka := draw("a")
		b, kb := draw("b")
		if a.Tenant != b.Tenant && rapid.Bool().Draw(t, "same tenant") {
			b.Tenant = a.Tenant
			kb = AppendAccountDayPrefix(nil, SpaceRecord, b)
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

// AppendRecordValue appends a record's value: all of an event that its key does not say.
func AppendRecordValue(b []byte, e *billing.Event) []byte {
	at := len(b)
	b = AppendVersion(append(b, 0), e.Version)
	return AppendRecordTexts(AppendMoney(b, e.Cost), at, e)
}

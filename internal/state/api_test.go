package state_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/state"
)

// These tests know the package by its exported names alone. They pin what other packages rely on.

const dir = "state"

var now = time.Date(2025, 1, 10, 12, 0, 0, 0, time.UTC)

// options are those of a state in memory, of which a failure of the storage panics. After the test no goroutine is
// left.
func options(t *testing.T) state.Options {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	return state.Options{
		FS: vfs.NewMem(), Now: func() time.Time { return now }, Fatal: func(err error) { panic(err) },
		CacheBytes: 8 << 20, MemTableBytes: 1 << 20, FilterBytes: 1 << 16,
	}
}

func identity() state.Identity {
	return state.Identity{Cluster: "cluster", Topics: []state.Topic{{Name: "billing", ID: "0a"}}, Rules: billing.DefaultRules()}
}

// create makes a state in dir and opens it. It is closed after the test, unless the test does.
func create(t *testing.T, o state.Options) *state.Store {
	t.Helper()
	if err := state.Create(dir, identity(), o); err != nil {
		t.Fatal(err)
	}
	return open(t, dir, o)
}

func open(t *testing.T, dir string, o state.Options) *state.Store {
	t.Helper()
	s, err := state.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closing(t, s) })
	return s
}

func closing(t *testing.T, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// upsert is version revision of an event of tenant "acme", at an offset of partition 0.
func upsert(offset int64, id billing.EventID, account billing.AccountID, day billing.Day, usd uint64) state.Record {
	return state.Record{Event: billing.Event{
		Tenant: "acme", ID: id, Account: account, Day: day, Service: "compute", Cost: billing.MoneyFromParts(0, usd*1e18),
		Version: billing.Version{IngestedAt: billing.Instant(offset * 1e9), Source: billing.Source{Offset: offset, RecordTime: offset * 1000}},
	}}
}

func deletion(offset int64, id billing.EventID) state.Record {
	r := upsert(offset, id, "", 0, 0)
	r.Event = billing.Event{Op: billing.Delete, Tenant: r.Event.Tenant, ID: id, Version: r.Event.Version}
	return r
}

// rejected is a record of an event of account a1 on day 20000 that was refused.
func rejected(offset int64, id billing.EventID) state.Record {
	value := []byte(`{"cost_usd":-1}`)
	return state.Record{Key: []byte("key"), Value: value, Size: len(value), Rejection: &billing.Rejection{
		Reason: "cost_negative", Detail: "cost_usd is -1", Tenant: "acme", Event: id, Account: "a1", Day: 20_000, HasDay: true,
		Version: billing.Version{IngestedAt: billing.Instant(offset * 1e9), Source: billing.Source{Offset: offset, RecordTime: offset * 1000}},
	}}
}

// advance moves partition 0 over n records.
func advance(from int64, n int) []state.Advance {
	return []state.Advance{{From: from, Next: from + int64(n), Delivered: int64(n), LastOffset: from + int64(n) - 1, LeaderEpoch: 1}}
}

// apply applies records of partition 0 that begin at an offset.
func apply(t *testing.T, s *state.Store, from int64, records ...state.Record) state.Applied {
	t.Helper()
	b := &state.Batch{Advances: advance(from, len(records))}
	b.Add(records...)
	applied, err := s.Apply(b)
	if err != nil {
		t.Fatal(err)
	}
	return applied
}

func reader(t *testing.T, s *state.Store) *state.Reader {
	t.Helper()
	r, err := s.Reader()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// contents are the events of a day as "account/id=usd", and the account-days that changed as "account@day=sequence".
func contents(t *testing.T, r *state.Reader) (events, markers []string) {
	t.Helper()
	for day := billing.Day(19_999); day <= 20_001; day++ {
		for e, err := range r.Events("acme", day, "", "") {
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, fmt.Sprintf("%d/%s/%s=%s", e.Day, e.Account, e.ID, e.Cost))
		}
	}
	for m, err := range r.Markers("acme", 19_999, 20_001) {
		if err != nil {
			t.Fatal(err)
		}
		markers = append(markers, fmt.Sprintf("%s@%d=%d", m.AccountDay.Account, m.AccountDay.Day, m.Sequence))
	}
	return events, markers
}

func wantContents(t *testing.T, r *state.Reader, wantEvents, wantMarkers []string) {
	t.Helper()
	events, markers := contents(t, r)
	if !slices.Equal(events, wantEvents) || !slices.Equal(markers, wantMarkers) {
		t.Errorf("events %v, want %v; markers %v, want %v", events, wantEvents, markers, wantMarkers)
	}
	faults, err := r.Check(nil)
	if err != nil || len(faults) > 0 {
		t.Errorf("check: %v, %v", faults, err)
	}
}

// TestCreateAndOpen: a directory holds one state, which one user has open at a time.
func TestCreateAndOpen(t *testing.T) {
	o := options(t)
	if _, err := state.Open(dir, o); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("open before create: %v", err)
	}
	bad := identity()
	bad.Rules.MaxRecordBytes = -1
	if err := state.Create(dir, bad, o); err == nil {
		t.Error("a state was created with rules that are not valid")
	}
	s := create(t, o)
	if err := state.Create(dir, identity(), o); !errors.Is(err, state.ErrExists) {
		t.Errorf("create again: %v", err)
	}
	id := s.Identity()
	if id.Format != state.FormatVersion || id.Database == "" || !id.CreatedAt.Equal(now) || id.Cluster != "cluster" || len(id.Topics) != 1 {
		t.Errorf("identity %+v", id)
	}
	if _, err := state.Open(dir, o); !errors.Is(err, state.ErrLocked) {
		t.Errorf("open again: %v", err)
	}
	if _, err := state.OpenReader(dir, o); !errors.Is(err, state.ErrLocked) {
		t.Errorf("read while a store is open: %v", err)
	}
	closing(t, s)
	closing(t, s) // does nothing
	if _, err := s.Apply(&state.Batch{}); err == nil {
		t.Error("a closed state takes writes")
	}
	r, err := state.OpenReader(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Identity().Database != id.Database || r.Head().Sequence != 0 {
		t.Errorf("identity %+v, head %+v", r.Identity(), r.Head())
	}
	closing(t, r)
}

// TestApply: the latest version of an event counts, in one account-day; a batch is applied whole or, if it does not
// start where the state is, not at all.
func TestApply(t *testing.T) {
	o := options(t)
	s := create(t, o)
	applied := apply(t, s, 0, upsert(0, "e1", "a1", 20_000, 5), upsert(1, "e2", "a1", 20_000, 7), upsert(2, "e1", "a1", 20_000, 6))
	if applied.Sequence != 1 || applied.Outcomes[billing.New] != 2 || applied.Outcomes[billing.Replaced] != 1 || applied.Dirty != 1 {
		t.Errorf("applied %+v", applied)
	}
	r := reader(t, s)
	wantContents(t, r, []string{"20000/a1/e1=6", "20000/a1/e2=7"}, []string{"a1@20000=1"})

	apply(t, s, 3, upsert(3, "e1", "a2", 20_001, 6), deletion(4, "e2")) // a move, and a delete
	// A reader keeps its view.
	wantContents(t, r, []string{"20000/a1/e1=6", "20000/a1/e2=7"}, []string{"a1@20000=1"})
	closing(t, r)

	old := upsert(5, "e2", "a1", 20_000, 7) // which the deletion precedes in the log, and not in the order of versions
	old.Event.Version.IngestedAt = 2e9
	if applied := apply(t, s, 5, old); applied.Outcomes[billing.Superseded] != 1 || applied.Dirty != 0 {
		t.Errorf("applied an old version: %+v", applied)
	}
	wrong := &state.Batch{Advances: advance(5, 1)}
	wrong.Add(upsert(5, "e9", "a9", 20_000, 1))
	if _, err := s.Apply(wrong); !errors.Is(err, state.ErrPosition) {
		t.Errorf("a batch that was applied before: %v", err)
	}
	r = reader(t, s)
	defer closing(t, r)
	wantContents(t, r, []string{"20001/a2/e1=6"}, []string{"a1@20000=2", "a2@20001=2"})
	positions, err := r.Positions()
	if err != nil || len(positions) != 1 || positions[0].NextOffset != 6 || positions[0].Delivered != 6 {
		t.Errorf("positions %+v, %v", positions, err)
	}
	w, found, err := r.Winner("acme", "e1")
	if err != nil || !found || w.Account != "a2" || w.Day != 20_001 || w.Version.Source.Offset != 3 {
		t.Errorf("winner %+v, %t, %v", w, found, err)
	}
	if w, found, err = r.Winner("acme", "e2"); err != nil || !found || !w.Deleted {
		t.Errorf("winner of a deleted event: %+v, %t, %v", w, found, err)
	}
	if _, found, err = r.Winner("acme", "e3"); err != nil || found {
		t.Errorf("winner of an unknown event: %t, %v", found, err)
	}
	if tenants, err := r.Tenants(); err != nil || !slices.Equal(tenants, []billing.TenantID{"acme"}) {
		t.Errorf("tenants %v, %v", tenants, err)
	}
	for m, err := range r.Markers("acme", 20_000, 20_000) {
		if err != nil || m.Changes != dedup.Added|dedup.Corrected|dedup.MovedOut|dedup.Removed || !m.ChangedAt.Equal(now) {
			t.Errorf("marker %+v, %v", m, err)
		}
	}
}

// TestCosts: Costs has the accounts and amounts of Events, and both can be bounded by accounts.
func TestCosts(t *testing.T) {
	s := create(t, options(t))
	apply(t, s, 0, upsert(0, "e1", "a1", 20_000, 5), upsert(1, "e2", "a2", 20_000, 7), upsert(2, "e3", "a3", 20_000, 9))
	r := reader(t, s)
	defer closing(t, r)
	for _, bounds := range [][2]billing.AccountID{{"", ""}, {"a2", ""}, {"", "a2"}, {"a2", "a3"}} {
		events, costs := map[billing.AccountID]string{}, map[billing.AccountID]string{}
		for e, err := range r.Events("acme", 20_000, bounds[0], bounds[1]) {
			if err != nil {
				t.Fatal(err)
			}
			events[e.Account] = e.Cost.String()
		}
		for e, err := range r.Costs("acme", 20_000, bounds[0], bounds[1]) {
			if err != nil {
				t.Fatal(err)
			}
			costs[e.Account] = e.Cost.String()
		}
		if !maps.Equal(events, costs) || len(events) == 0 {
			t.Errorf("accounts %v: events %v, costs %v", bounds, events, costs)
		}
	}
	for _, err := range r.Events("acme", 20_000, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		break // leaves no iterator open: Close would report it
	}
}

// TestQuarantine: a rejected record withholds its account-day until a greater version of its event is accepted or a
// decision resolves it.
func TestQuarantine(t *testing.T) {
	s := create(t, options(t))
	applied := apply(t, s, 0, rejected(0, "e1"), rejected(1, "e2"), rejected(2, "e3"))
	if applied.Outcomes[billing.Quarantined] != 3 || applied.Reasons["cost_negative"] != 3 {
		t.Errorf("applied %+v", applied)
	}
	apply(t, s, 3, upsert(3, "e1", "a1", 20_000, 1))
	number, err := s.Decide(state.Decision{Kind: state.QuarantineSettled, Who: "clerk", Why: "test data", Records: []billing.Source{{Offset: 1}}})
	if err != nil || number != 1 {
		t.Fatalf("decision %d, %v", number, err)
	}
	_, err = s.Decide(state.Decision{Kind: state.QuarantineSettled, Records: []billing.Source{{Offset: 3}}})
	if !errors.Is(err, state.ErrNoRecord) {
		t.Errorf("a decision on an accepted record: %v", err)
	}
	r := reader(t, s)
	defer closing(t, r)
	want := []state.QuarantineStatus{state.QuarantineSuperseded, state.QuarantineResolved, state.QuarantineOpen}
	n := 0
	for q, err := range r.Quarantine(true) {
		if err != nil || q.Status != want[n] || string(q.Key) != "key" || string(q.Value) != `{"cost_usd":-1}` || q.Source.Offset != int64(n) {
			t.Errorf("record %d: %+v, %v", n, q, err)
		}
		n++
	}
	withheld := 0
	for q, err := range r.Withheld("acme") {
		if a, ok := q.AccountDay(); err != nil || !ok || a.Account != "a1" || q.Rejection.Event != "e3" {
			t.Errorf("withheld %+v, %v", q, err)
		}
		withheld++
	}
	if n != 3 || withheld != 1 {
		t.Errorf("%d records, %d withhold", n, withheld)
	}
	if _, found, err := r.QuarantinedRecord(billing.Source{Offset: 3}); found || err != nil {
		t.Errorf("an accepted record is in quarantine: %t, %v", found, err)
	}
	decisions, err := r.Decisions()
	if err != nil || len(decisions) != 1 || decisions[0].Number != 1 || decisions[0].Who != "clerk" || !decisions[0].When.Equal(now) {
		t.Errorf("decisions %+v, %v", decisions, err)
	}
	wantContents(t, r, []string{"20000/a1/e1=1"}, []string{"a1@20000=3"})
}

// TestAcceptedGap: a decision moves the position over offsets that have no record.
func TestAcceptedGap(t *testing.T) {
	s := create(t, options(t))
	apply(t, s, 0, upsert(0, "e1", "a1", 20_000, 5))
	gap := state.Decision{Kind: state.GapAccepted, Who: "clerk", Why: "retention", From: 1, Next: 11}
	if _, err := s.Decide(gap); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Decide(gap); !errors.Is(err, state.ErrPosition) {
		t.Errorf("a gap that is not at the position: %v", err)
	}
	apply(t, s, 11, upsert(11, "e2", "a1", 20_000, 5))
	r := reader(t, s)
	defer closing(t, r)
	if positions, err := r.Positions(); err != nil || positions[0].NextOffset != 12 || positions[0].Gaps != 10 {
		t.Errorf("positions %+v, %v", positions, err)
	}
}

// TestRetry: rules that admit more than before are applied to what is in quarantine; stricter ones are refused.
func TestRetry(t *testing.T) {
	s := create(t, options(t))
	apply(t, s, 0, rejected(0, "e1"), rejected(1, "e2"))
	rules := billing.DefaultRules()
	rules.DefaultNegative = billing.AllowNegative
	accept := func(q *state.Quarantined) state.Record {
		if q.Source.Offset == 1 {
			return state.Record{Rejection: &q.Rejection, Key: q.Key, Value: q.Value, Size: q.Size}
		}
		return upsert(0, "e1", "a1", 20_000, 4)
	}
	applied, err := s.Retry(rules, state.Decision{Who: "clerk", Why: "credits"}, accept)
	if err != nil || applied.Outcomes[billing.New] != 1 || applied.Outcomes[billing.Quarantined] != -1 {
		t.Fatalf("retry: %+v, %v", applied, err)
	}
	if _, err := s.Retry(identity().Rules, state.Decision{}, accept); !errors.Is(err, state.ErrRules) {
		t.Errorf("retry by stricter rules: %v", err)
	}
	r := reader(t, s)
	defer closing(t, r)
	if got := r.Identity().Rules.DefaultNegative; got != billing.AllowNegative {
		t.Errorf("the state's rules say %v", got)
	}
	wantContents(t, r, []string{"20000/a1/e1=4"}, []string{"a1@20000=2"})
}

// TestCheckpoint: a copy is a state of its own, which lacks what is written afterwards; the digest of its journal
// is kept.
func TestCheckpoint(t *testing.T) {
	o := options(t)
	s := create(t, o)
	apply(t, s, 0, upsert(0, "e1", "a1", 20_000, 5))
	copied := filepath.Join("copies", "one")
	head, err := s.Checkpoint(copied)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Checkpoint(copied); err == nil {
		t.Error("a checkpoint replaces another")
	}
	apply(t, s, 1, upsert(1, "e2", "a1", 20_000, 7))
	if err := s.SetCovered("acme", 1); err != nil {
		t.Fatal(err)
	}
	r, err := state.OpenReader(copied, o)
	if err != nil {
		t.Fatal(err)
	}
	wantContents(t, r, []string{"20000/a1/e1=5"}, []string{"a1@20000=1"})
	if covered, err := r.Covered("acme"); err != nil || covered != 0 || r.Head() != head {
		t.Errorf("covered %d, %v; head %+v, want %+v", covered, err, r.Head(), head)
	}
	closing(t, r)

	r = reader(t, s)
	if covered, err := r.Covered("acme"); err != nil || covered != 1 {
		t.Errorf("covered %d, %v", covered, err)
	}
	if digest, found, err := r.DigestAt(head.Sequence); err != nil || !found || digest != head.Digest {
		t.Errorf("digest %x, %t, %v; want %x", digest, found, err, head.Digest)
	}
	if _, found, err := r.DigestAt(99); err != nil || found {
		t.Errorf("digest of a write that never was: %t, %v", found, err)
	}
	closing(t, r)

	// The copy continues by itself.
	other := open(t, copied, o)
	apply(t, other, 1, upsert(1, "e3", "a1", 20_000, 1))
	r = reader(t, other)
	defer closing(t, r)
	wantContents(t, r, []string{"20000/a1/e1=5", "20000/a1/e3=1"}, []string{"a1@20000=2"})
}

// TestRebuildByLoad: a load of all records, in any order and by all workers, makes a state that equals the one that
// applied them in batches.
func TestRebuildByLoad(t *testing.T) {
	o := options(t)
	live := create(t, o)
	records := []state.Record{
		upsert(0, "e1", "a1", 20_000, 5), upsert(1, "e2", "a1", 20_000, 7), rejected(2, "e3"), upsert(3, "e1", "a2", 20_001, 6),
		deletion(4, "e2"), rejected(5, "e1"), upsert(6, "0123abcd-0000-4000-8000-00000000beef", "a1", 19_999, 1),
	}
	for i, r := range records {
		apply(t, live, int64(i), r)
	}
	if _, err := live.NewBulkLoad(state.MinLoadMemory); err == nil {
		t.Error("a load into a state that has events")
	}

	rebuild := o
	rebuild.Sub = state.RebuildDir
	if err := state.Create(dir, identity(), rebuild); err != nil {
		t.Fatal(err)
	}
	loaded := open(t, dir, rebuild)
	l, err := loaded.NewBulkLoad(state.MinLoadMemory)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Advance(advance(0, len(records))); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Commit(context.Background()); !errors.Is(err, state.ErrPosition) {
		t.Errorf("a load that lacks records: %v", err)
	}
	closing(t, l)

	if l, err = loaded.NewBulkLoad(state.MinLoadMemory); err != nil {
		t.Fatal(err)
	}
	if err := l.Advance(advance(0, len(records))); err != nil {
		t.Fatal(err)
	}
	for i := range records { // the last first
		r := &records[len(records)-1-i]
		if err := l.Add(i%l.Workers(), r); err != nil {
			t.Fatal(err)
		}
	}
	applied, err := l.Commit(context.Background())
	if err != nil || applied.Sequence != 1 || applied.Outcomes[billing.Quarantined] != 2 {
		t.Fatalf("commit: %+v, %v", applied, err)
	}
	closing(t, l)

	a, b := reader(t, live), reader(t, loaded)
	defer closing(t, a)
	defer closing(t, b)
	faults, err := b.Check(nil)
	if err != nil || len(faults) > 0 {
		t.Errorf("check of the loaded state: %v, %v", faults, err)
	}
	events, _ := contents(t, a)
	if got, _ := contents(t, b); !slices.Equal(got, events) {
		t.Errorf("events %v, want %v", got, events)
	}
	if differences, err := state.Compare(a, b, nil); err != nil || len(differences) > 0 {
		t.Errorf("compare: %v, %v", differences, err)
	}

	apply(t, loaded, int64(len(records)), upsert(7, "e9", "a1", 20_000, 1)) // which the live state lacks
	c := reader(t, loaded)
	defer closing(t, c)
	differences, err := state.Compare(a, c, nil)
	if err != nil || len(differences) != 3 { // a locator, a record, and what was delivered
		t.Errorf("compare with a state that has more: %v, %v", differences, err)
	}
}

// TestAddTopics: topics are added at the end, each once.
func TestAddTopics(t *testing.T) {
	s := create(t, options(t))
	if err := s.AddTopics([]state.Topic{{Name: "more"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.AddTopics([]state.Topic{{Name: "billing"}}); err == nil {
		t.Error("a topic was added twice")
	}
	if topics := s.Identity().Topics; len(topics) != 2 || topics[1].Name != "more" || topics[1].Ordinal != 1 {
		t.Errorf("topics %+v", topics)
	}
	r := record(1, 0, upsert(0, "e1", "a1", 20_000, 5))
	b := &state.Batch{Advances: []state.Advance{{Partition: state.PartitionID{Topic: 1}, Next: 1, Delivered: 1}}}
	b.Add(r)
	if _, err := s.Apply(b); err != nil {
		t.Fatal(err)
	}
}

// record is r at another partition.
func record(topic billing.TopicOrdinal, partition int32, r state.Record) state.Record {
	r.Event.Version.Source.Topic, r.Event.Version.Source.Partition = topic, partition
	return r
}

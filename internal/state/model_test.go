package state

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"daybook/internal/billing"
	"daybook/internal/state/format"
	"daybook/internal/test/rot"
)

// model is the naive view of a log: every record consumed, in a list.
type model struct {
	records []Record
	settled map[billing.Source]bool
	next    map[PartitionID]int64
}

type eventKey struct {
	tenant billing.TenantID
	id     billing.EventID
}

// modelWinner is what a model says of an event.
type modelWinner struct {
	event billing.Event
	tied  bool
}

func (m *model) winners() map[eventKey]modelWinner {
	winners := map[eventKey]modelWinner{}
	for _, r := range m.records {
		k := eventKey{r.Event.Tenant, r.Event.ID}
		if w, ok := winners[k]; r.Rejection == nil && (!ok || r.Event.Version.Compare(w.event.Version) > 0) {
			winners[k] = modelWinner{event: r.Event}
		}
	}
	for _, r := range m.records {
		w, ok := winners[eventKey{r.Event.Tenant, r.Event.ID}]
		if ok && r.Rejection == nil && r.Event.Version.Ties(w.event.Version) &&
			(r.Event.Cost != w.event.Cost || r.Event.Op != w.event.Op) {
			w.tied = true
			winners[eventKey{r.Event.Tenant, r.Event.ID}] = w
		}
	}
	return winners
}

func (m *model) status(r *Record, winners map[eventKey]modelWinner) QuarantineStatus {
	w, ok := winners[eventKey{r.Rejection.Tenant, r.Rejection.Event}]
	switch {
	case ok && w.event.Version.Compare(r.Rejection.Version) > 0:
		return QuarantineSuperseded
	case m.settled[sourceOf(r)]:
		return QuarantineResolved
	}
	return QuarantineOpen
}

func sourceOf(r *Record) billing.Source { return r.source() }

var testTenants = []billing.TenantID{"acme", "ac", "b"}

// drawRecord draws one record from few values, so that they meet.
func drawRecord(t *rapid.T, src billing.Source) Record {
	v := billing.Version{
		IngestedAt:     billing.Instant(rapid.Int64Range(1, 3).Draw(t, "ingested")) * 1e9,
		SourceRevision: rapid.Int64Range(0, 1).Draw(t, "revision"),
		Source:         src,
	}
	tenant := rapid.SampledFrom(testTenants).Draw(t, "tenant")
	id := billing.EventID(rapid.SampledFrom([]string{"e", "e1", "0", "ff", "f\x00", "f\x01",
		"0f000000-0000-4000-8000-000000000000", "e0000000-0000-4000-8000-000000000000", "E0000000-0000-4000-8000-000000000000"}).Draw(t, "event"))
	account := billing.AccountID(rapid.SampledFrom([]string{"a", "a\x00", "a\x01b", "b"}).Draw(t, "account"))
	day := billing.Day(rapid.Int32Range(-1, 1).Draw(t, "day"))
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		return Record{Event: billing.Event{Tenant: tenant, ID: id, Op: billing.Delete, Version: v}}
	case 1:
		j := &billing.Rejection{Reason: "cost_negative", Detail: "no", Version: v}
		if rapid.Bool().Draw(t, "names event") {
			j.Tenant, j.Event = tenant, id
		}
		if rapid.Bool().Draw(t, "names account-day") {
			j.Tenant, j.Account, j.Day, j.HasDay = tenant, account, day, true
		}
		return Record{Rejection: j, Key: []byte("k"), Value: []byte("value"), Size: 5}
	}
	cost := rapid.SampledFrom([]int64{-7, 0, 1, 10, 12345678901}).Draw(t, "cost")
	return Record{Event: billing.Event{
		Tenant: tenant, ID: id, Account: account, Day: day, Service: "s", Version: v,
		Cost:       billing.MoneyFromParts(cost>>63, uint64(cost)),
		Attributes: rapid.SampledFrom([]string{"", `{"a":1}`}).Draw(t, "attributes"),
	}}
}

// drawBatch draws what a poll may bring of two partitions.
func (m *model) drawBatch(t *rapid.T) *delivered {
	b := &delivered{}
	for _, id := range []PartitionID{{Topic: 0, Partition: 0}, {Topic: 0, Partition: 1}, {Topic: 1, Partition: 0}} {
		if rapid.IntRange(0, 3).Draw(t, "skip") == 0 {
			continue
		}
		from := m.next[id]
		a := Advance{Partition: id, From: from, Next: from, LastOffset: -1}
		for range rapid.IntRange(0, 6).Draw(t, "records") {
			b.Records = append(b.Records, drawRecord(t, billing.Source{
				Topic: id.Topic, Partition: id.Partition, Offset: a.Next, RecordTime: rapid.Int64Range(-1, 2).Draw(t, "time")}))
			a.Delivered++
			a.LastOffset = a.Next
			a.Next++
		}
		if rapid.IntRange(0, 3).Draw(t, "transaction") == 0 {
			a.Control, a.Holes, a.HolesExplained = 1, 2, true
			a.Next += 3
		}
		b.Advances = append(b.Advances, a)
		if rapid.Bool().Draw(t, "caught up") {
			b.CaughtUp = append(b.CaughtUp, CaughtUp{Partition: id, At: testTime})
		}
	}
	return b
}

func (m *model) took(b *delivered) {
	m.records = append(m.records, b.Records...)
	for _, a := range b.Advances {
		m.next[a.Partition] = a.Next
	}
}

// agree fails unless the reader says what the model says, and is sound in itself.
func (m *model) agree(t *rapid.T, r *Reader) {
	faults, err := r.Check(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Errorf("check: %s %s", f.Key, f.What)
	}
	winners := m.winners()
	want := map[string]string{}
	for k, w := range winners {
		got, found, err := r.Winner(k.tenant, k.id)
		if err != nil || !found {
			t.Fatalf("winner of %q: found %t, %v", k, found, err)
		}
		if got.Version != w.event.Version || got.Deleted != (w.event.Op == billing.Delete) || got.Tied != w.tied {
			t.Errorf("winner of %q: %+v, want %+v", k, got, w)
			for _, rec := range m.records {
				if rec.Rejection == nil && rec.Event.Tenant == k.tenant && rec.Event.ID == k.id {
					t.Logf("version %+v", rec.Event)
				}
			}
		}
		if !got.Deleted {
			want[fmt.Sprintf("%s|%d|%q|%q", k.tenant, w.event.Day, w.event.Account, k.id)] = fmt.Sprintf("%+v", w.event)
		}
	}
	have := map[string]string{}
	tied := 0
	for _, tenant := range testTenants {
		var last billing.AccountDay
		var lastID billing.EventID
		marked := map[billing.AccountDay]bool{}
		for k, err := range r.Markers(tenant, -10, 10) {
			if err != nil {
				t.Fatal(err)
			}
			if k.Sequence > r.Head().Sequence || k.Changes == 0 {
				t.Errorf("marker %+v", k)
			}
			marked[k.AccountDay] = true
		}
		for day := billing.Day(-1); day <= 1; day++ {
			for e, err := range r.Events(tenant, day, "", "") {
				if err != nil {
					t.Fatal(err)
				}
				have[fmt.Sprintf("%s|%d|%q|%q", e.Tenant, e.Day, e.Account, e.ID)] = fmt.Sprintf("%+v", *e)
				if a := e.AccountDay(); a == last && e.ID <= lastID {
					t.Errorf("event %q after %q", e.ID, lastID)
				} else if lastID = e.ID; a != last {
					if last.Day == a.Day && last.Account >= a.Account {
						t.Errorf("account %q after %q", a.Account, last.Account)
					}
					if last = a; !marked[a] {
						t.Errorf("%+v has events and no marker", a)
					}
				}
			}
			for id, err := range r.Ties(tenant, day) {
				if w := winners[eventKey{tenant, id}]; err != nil || !w.tied || w.event.Day != day {
					t.Errorf("tie %q: %v", id, err)
				}
				tied++
			}
		}
	}
	for _, w := range winners {
		if w.tied && w.event.Op != billing.Delete {
			tied--
		}
	}
	if tied != 0 {
		t.Errorf("%d more ties than tied winners", tied)
	}
	if !maps.Equal(have, want) {
		t.Errorf("events %v\nwant %v", have, want)
	}
	m.agreeQuarantine(t, r, winners)
	positions, err := r.Positions()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range positions {
		if p.NextOffset != m.next[p.Partition] {
			t.Errorf("position %+v, want %d", p, m.next[p.Partition])
		}
	}
}

func (m *model) agreeQuarantine(t *rapid.T, r *Reader, winners map[eventKey]modelWinner) {
	want := map[billing.Source]QuarantineStatus{}
	withheld := 0
	for i := range m.records {
		rec := &m.records[i]
		if j := rec.Rejection; j != nil {
			want[sourceOf(rec)] = m.status(rec, winners)
			if j.HasDay && want[sourceOf(rec)] == QuarantineOpen {
				withheld++
			}
		}
	}
	have := map[billing.Source]QuarantineStatus{}
	for q, err := range r.Quarantine(true) {
		if err != nil {
			t.Fatal(err)
		}
		have[q.Source] = q.Status
		if string(q.Key) != "k" || string(q.Value) != "value" || q.Rejection.Detail != "no" {
			t.Errorf("quarantined %+v", q)
		}
	}
	if !maps.Equal(have, want) {
		t.Errorf("quarantine %v, want %v", have, want)
	}
	for _, tenant := range testTenants {
		for q, err := range r.Withheld(tenant) {
			if err != nil || q.Status != QuarantineOpen {
				t.Errorf("withheld %+v, %v", q, err)
			}
			withheld--
		}
	}
	if withheld != 0 {
		t.Errorf("%d fewer withheld than there should be", withheld)
	}
}

// TestStoreAgreesWithModel drives a store with random batches, restarts,
// crashes, checkpoints and decisions, and compares it with the naive model.
func TestStoreAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { driveStore(t, rapid.SampledFrom([]int{1, 3, 1000}).Draw(t, "bulk")) })
}

func driveStore(t *rapid.T, bulk int) {
	fs := rot.NewCrashable()
	o := testOptions(fs)
	o.JournalFoldKeep = 2
	o.BulkRecords = bulk
	o.FilterBytes = 64 // saved from eight events on
	id := testIdentity()
	id.Topics = append(id.Topics, Topic{Name: "more", Ordinal: 1})
	if err := Create("state", id, o); err != nil {
		t.Fatal(err)
	}
	open := func() *Store {
		s, err := Open("state", o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	defer func() { _ = s.Close() }()
	m := &model{settled: map[billing.Source]bool{}, next: map[PartitionID]int64{}}
	seed := rapid.Uint64().Draw(t, "crash seed")
	copies := 0
	for range rapid.IntRange(1, 12).Draw(t, "steps") {
		switch rapid.IntRange(0, 7).Draw(t, "step") {
		case 0:
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open()
		case 1:
			crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "survives"),
				RNG: rand.New(rand.NewPCG(seed, 0))})
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			fs, o.FS = crashed, crashed
			s = open()
		case 2:
			copies++
			dir := fmt.Sprintf("copy%d", copies)
			head, err := s.Checkpoint(dir)
			if err != nil {
				t.Fatal(err)
			}
			r, err := OpenReader(dir, o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Head() != head {
				t.Errorf("checkpoint's head %v, want %v", r.Head(), head)
			}
			m.agree(t, r)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		case 3:
			m.settle(t, s)
		default:
			b := m.drawBatch(t)
			if _, err := s.Apply(b.batch()); err != nil {
				t.Fatal(err)
			}
			m.took(b)
		}
	}
	r, err := s.Reader()
	if err != nil {
		t.Fatal(err)
	}
	m.agree(t, r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// settle resolves one of the quarantined records.
func (m *model) settle(t *rapid.T, s *Store) {
	var all []billing.Source
	for i := range m.records {
		if m.records[i].Rejection != nil {
			all = append(all, sourceOf(&m.records[i]))
		}
	}
	if len(all) == 0 {
		return
	}
	src := rapid.SampledFrom(all).Draw(t, "settled")
	if _, err := s.Decide(Decision{Kind: QuarantineSettled, Who: "op", Why: "known", Records: []billing.Source{src}}); err != nil {
		t.Fatal(err)
	}
	m.settled[src] = true
}

// TestOrderDoesNotMatter applies one log in two ways that keep only each
// partition's own order, and compares the states.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{next: map[PartitionID]int64{}}
		var batches []*delivered
		for range rapid.IntRange(1, 4).Draw(t, "batches") {
			b := m.drawBatch(t)
			b.CaughtUp = nil
			m.took(b)
			batches = append(batches, b)
		}
		fill := func(bulk int, batches []*delivered) *Store {
			o := testOptions(vfs.NewMem())
			o.BulkRecords = bulk
			s := newStore(t, o)
			for _, b := range batches {
				if _, err := s.Apply(b.batch()); err != nil {
					t.Fatal(err)
				}
			}
			return s
		}
		a := fill(1000, batches)
		defer func() { _ = a.Close() }()
		// The other way: partition by partition, one advance a batch.
		var apart []*delivered
		for _, id := range []PartitionID{{Topic: 1, Partition: 0}, {Topic: 0, Partition: 1}, {Topic: 0, Partition: 0}} {
			for _, b := range batches {
				i := slices.IndexFunc(b.Advances, func(a Advance) bool { return a.Partition == id })
				if i < 0 {
					continue
				}
				one := &delivered{Advances: b.Advances[i : i+1]}
				for _, r := range b.Records {
					if format.PartitionOf(r.source()) == id {
						one.Records = append(one.Records, r)
					}
				}
				apart = append(apart, one)
			}
		}
		b := fill(1, apart)
		defer func() { _ = b.Close() }()
		ra, errA := a.Reader()
		rb, errB := b.Reader()
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		defer func() { _, _ = ra.Close(), rb.Close() }()
		differences, err := Compare(ra, rb, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range differences {
			t.Errorf("%s %s", d.Key, d.What)
		}
	})
}

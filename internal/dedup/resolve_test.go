package dedup

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"daybook/internal/billing"
)

func dollars(n uint64) billing.Money { return billing.MoneyFromParts(0, n) }

// version returns a version; ingested_at, revision and offset order it.
func version(ingestedAt, revision, offset int64) billing.Version {
	return billing.Version{IngestedAt: billing.Instant(ingestedAt), SourceRevision: revision, Source: billing.Source{Offset: offset}}
}

func upsert(v billing.Version, account billing.AccountID, cost uint64) billing.Event {
	return billing.Event{Tenant: "acme", ID: "e", Account: account, Service: "EC2", Day: 20089, Cost: dollars(cost), Version: v}
}

func deletion(v billing.Version) billing.Event {
	return billing.Event{Tenant: "acme", ID: "e", Op: billing.Delete, Version: v}
}

func accountDay(account billing.AccountID) billing.AccountDay {
	return billing.AccountDay{Tenant: "acme", Account: account, Day: 20089}
}

// tinyState is a state of one event.
type tinyState struct {
	winner  Winner
	has     bool
	records map[billing.AccountDay]billing.Event
	dirty   map[billing.AccountDay]Change
}

func newState() *tinyState {
	return &tinyState{records: map[billing.AccountDay]billing.Event{}, dirty: map[billing.AccountDay]Change{}}
}

// apply stores what Resolve returns, as a state must, and checks what holds for every resolution.
func (b *tinyState) apply(t fataler, e billing.Event) Resolution {
	t.Helper()
	at := b.winner.accountDay("acme")
	r, err := Resolve(b.winner, b.has, &e, e.Digest(), func() (billing.Money, error) {
		if b.winner.Deleted {
			t.Fatalf("Resolve asks for the money of a deleted event")
		}
		return b.records[at].Cost, nil
	})
	if err != nil {
		t.Fatalf("resolve: %v", err)
	}
	if r.Changed != (!b.has || r.Winner != b.winner) {
		t.Fatalf("Changed is %t: winner %+v, was %+v", r.Changed, r.Winner, b.winner)
	}
	if r.Put && r.Raise || (r.Put || r.Raise) && (!r.Changed || r.Winner.Deleted) {
		t.Fatalf("contradiction: %+v", r)
	}
	if r.Put || r.Winner.Deleted {
		clear(b.records)
	}
	if r.Put {
		b.records[e.AccountDay()] = e
	}
	if r.Raise {
		kept := b.records[at]
		kept.Version = e.Version
		b.records[at] = kept
	}
	for _, d := range r.Dirty[:r.N] {
		b.dirty[d.AccountDay] |= d.Change
	}
	b.winner, b.has = r.Winner, true
	return r
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func TestResolve(t *testing.T) {
	t.Parallel()
	type step struct {
		event   billing.Event
		outcome billing.Outcome
		dirty   map[billing.AccountDay]Change
		tied    bool
	}
	v := version
	none := map[billing.AccountDay]Change{}
	one := func(a billing.AccountID, c Change) map[billing.AccountDay]Change {
		return map[billing.AccountDay]Change{accountDay(a): c}
	}
	for name, steps := range map[string][]step{
		"corrected": {
			{upsert(v(1, 0, 0), "a", 5), billing.New, one("a", Added), false},
			{upsert(v(2, 0, 1), "a", 6), billing.Replaced, one("a", Corrected), false},
		},
		"late older version": {
			{upsert(v(2, 0, 0), "a", 5), billing.New, one("a", Added), false},
			{upsert(v(1, 0, 1), "b", 6), billing.Superseded, none, false},
		},
		"moved": {
			{upsert(v(1, 0, 0), "a", 5), billing.New, one("a", Added), false},
			{upsert(v(2, 0, 1), "b", 5), billing.Replaced, map[billing.AccountDay]Change{accountDay("a"): MovedOut, accountDay("b"): MovedIn}, false},
		},
		"the same record again": {
			{upsert(v(1, 0, 0), "a", 5), billing.New, one("a", Added), false},
			{upsert(v(1, 0, 0), "a", 5), billing.Duplicate, none, false},
		},
		"a duplicate raises the winner over a version between": {
			{upsert(v(1, 0, 0), "a", 5), billing.New, one("a", Added), false},
			{upsert(v(3, 0, 1), "a", 5), billing.Duplicate, none, false},
			{upsert(v(2, 0, 2), "a", 6), billing.Superseded, none, false},
		},
		"A, B, A again": {
			{upsert(v(1, 0, 0), "a", 5), billing.New, one("a", Added), false},
			{upsert(v(2, 0, 1), "a", 6), billing.Replaced, one("a", Corrected), false},
			{upsert(v(1, 0, 0), "a", 5), billing.Superseded, none, false},
			{upsert(v(3, 0, 2), "a", 5), billing.Replaced, one("a", Corrected), false},
		},
		"deleted and revived": {
			{upsert(v(1, 0, 0), "a", 5), billing.New, one("a", Added), false},
			{deletion(v(3, 0, 1)), billing.Deleted, one("a", Removed), false},
			{upsert(v(2, 0, 2), "a", 6), billing.Superseded, none, false},
			{deletion(v(4, 0, 3)), billing.Duplicate, none, false},
			{upsert(v(4, 0, 2), "a", 5), billing.Superseded, none, true},
			{upsert(v(5, 0, 4), "b", 5), billing.Replaced, one("b", Added), false},
		},
		"deleted before it came": {
			{deletion(v(3, 0, 0)), billing.Deleted, none, false},
			{upsert(v(2, 0, 1), "a", 6), billing.Superseded, none, false},
			{upsert(v(4, 0, 2), "a", 6), billing.Replaced, one("a", Added), false},
		},
		"an older delete": {
			{upsert(v(3, 0, 0), "a", 5), billing.New, one("a", Added), false},
			{deletion(v(2, 0, 1)), billing.Superseded, none, false},
		},
		"a tie goes to the later record and is reported": {
			{upsert(v(1, 0, 0), "a", 5), billing.New, one("a", Added), false},
			{upsert(v(1, 0, 1), "a", 6), billing.Replaced, one("a", Corrected), true},
			{upsert(v(1, 0, 2), "a", 6), billing.Duplicate, none, true},
			{upsert(v(2, 0, 3), "a", 6), billing.Duplicate, none, false},
		},
		"a tie with an older record is reported too": {
			{upsert(v(1, 0, 5), "a", 5), billing.New, one("a", Added), false},
			{upsert(v(1, 0, 1), "a", 6), billing.Superseded, none, true},
		},
		"versions with the same money do not tie": {
			{upsert(v(1, 0, 0), "a", 5), billing.New, one("a", Added), false},
			{upsert(v(1, 0, 1), "b", 5), billing.Replaced, map[billing.AccountDay]Change{accountDay("a"): MovedOut, accountDay("b"): MovedIn}, false},
		},
		"versions with different revisions do not tie": {
			{upsert(v(1, 0, 0), "a", 5), billing.New, one("a", Added), false},
			{upsert(v(1, 1, 1), "a", 6), billing.Replaced, one("a", Corrected), false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newState()
			for i, s := range steps {
				b.dirty = map[billing.AccountDay]Change{}
				r := b.apply(t, s.event)
				if r.Outcome != s.outcome || !maps.Equal(b.dirty, s.dirty) || r.Winner.Tied != s.tied {
					t.Errorf("step %d: %s, dirty %v, tied %t; want %s, %v, %t", i, r.Outcome, b.dirty, r.Winner.Tied, s.outcome, s.dirty, s.tied)
				}
			}
		})
	}
}

func TestResolveReturnsTheErrorOfCost(t *testing.T) {
	t.Parallel()
	first, second := upsert(version(1, 0, 0), "a", 5), upsert(version(1, 0, 1), "a", 6)
	b := newState()
	b.apply(t, first)
	broken := errors.New("disk")
	if _, err := Resolve(b.winner, true, &second, second.Digest(), func() (billing.Money, error) { return billing.Money{}, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

// versions draws a log of one event. It has few moments, accounts and amounts, so that ties, duplicates, moves,
// deletes and revivals are frequent. Offsets are places in the log, so all versions differ.
func versions() *rapid.Generator[[]billing.Event] {
	one := rapid.Custom(func(t *rapid.T) billing.Event {
		v := version(rapid.Int64Range(1, 4).Draw(t, "ingested_at"), rapid.Int64Range(0, 1).Draw(t, "revision"), 0)
		if rapid.IntRange(0, 4).Draw(t, "op") == 0 {
			return deletion(v)
		}
		return upsert(v, rapid.SampledFrom([]billing.AccountID{"a", "b"}).Draw(t, "account"), rapid.Uint64Range(0, 2).Draw(t, "cost"))
	})
	return rapid.Map(rapid.SliceOfN(one, 1, 12), func(log []billing.Event) []billing.Event {
		for i := range log {
			log[i].Version.Source.Offset = int64(i)
		}
		return log
	})
}

// The winner does not depend on the order of arrival or on repetition: it is the greatest version, and tied if
// another version with its ingested_at and source_revision has other money.
func TestWinnerDoesNotDependOnTheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		log := versions().Draw(t, "log")
		greatest := log[0]
		for _, e := range log {
			if e.Version.Compare(greatest.Version) > 0 {
				greatest = e
			}
		}
		want := WinnerOf(&greatest, greatest.Digest())
		for _, e := range log {
			want.Tied = want.Tied || e.Version.Ties(greatest.Version) && (e.Cost != greatest.Cost || e.Op != greatest.Op)
		}
		arrivals := rapid.Permutation(log).Draw(t, "arrivals")
		again := rapid.SliceOfN(rapid.SampledFrom(log), 0, 6).Draw(t, "again")
		b := newState()
		for _, e := range append(arrivals, again...) {
			b.apply(t, e)
		}
		if b.winner != want {
			t.Fatalf("winner %+v\nwant   %+v", b.winner, want)
		}
		records := map[billing.AccountDay]billing.Event{}
		if !want.Deleted {
			records[greatest.AccountDay()] = greatest
		}
		if !reflect.DeepEqual(b.records, records) {
			t.Fatalf("records %+v\nwant    %+v", b.records, records)
		}
	})
}

// The account-days that a resolution calls dirty are those whose events the version changes.
func TestDirtyIsWhatChanged(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		log := rapid.Permutation(versions().Draw(t, "log")).Draw(t, "arrivals")
		b := newState()
		for i, e := range log {
			before := contents(b.records)
			b.dirty = map[billing.AccountDay]Change{}
			r := b.apply(t, e)
			after := contents(b.records)
			for _, a := range []billing.AccountDay{accountDay("a"), accountDay("b")} {
				if changed := before[a] != after[a]; changed != (b.dirty[a] != 0) {
					t.Fatalf("step %d, %s: %v changed %t, dirty %d", i, r.Outcome, a, changed, b.dirty[a])
				}
			}
			switch r.Outcome {
			case billing.Duplicate, billing.Superseded:
				if r.N != 0 || r.Put {
					t.Fatalf("step %d: %s does %+v", i, r.Outcome, r)
				}
			case billing.New, billing.Replaced:
				if !r.Put {
					t.Fatalf("step %d: %s puts nothing", i, r.Outcome)
				}
			case billing.Deleted:
				if r.Put || !r.Winner.Deleted {
					t.Fatalf("step %d: %s does %+v", i, r.Outcome, r)
				}
			default:
				t.Fatalf("step %d: outcome %s", i, r.Outcome)
			}
		}
	})
}

// contents returns the digests of the records, which do not cover their versions.
func contents(records map[billing.AccountDay]billing.Event) map[billing.AccountDay]billing.Digest {
	m := map[billing.AccountDay]billing.Digest{}
	for a, e := range records {
		m[a] = e.Digest()
	}
	return m
}

func BenchmarkResolve(b *testing.B) {
	old, newer := upsert(version(1, 0, 0), "a", 5), upsert(version(2, 0, 1), "a", 6)
	digest := newer.Digest()
	prev := WinnerOf(&old, old.Digest())
	for _, known := range []bool{false, true} {
		b.Run(fmt.Sprintf("known=%t", known), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Resolve(prev, known, &newer, digest, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

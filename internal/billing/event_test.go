package billing

import (
	"encoding/hex"
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func sampleEvent() Event {
	return Event{
		Tenant: "acme", ID: "e-1", Account: "0042", Service: "EC2", Day: 20089, Cost: Money{0, 15e17},
		Region: "eu-west-1", PricingModel: "spot", Category: Usage, Period: "2025-01", Attributes: `{"team":"a"}`,
	}
}

// The digest is stored in every state: this value may change only together
// with contentFormat and the state's format version.
func TestDigestIsStable(t *testing.T) {
	t.Parallel()
	e := sampleEvent()
	d := e.Digest()
	if got, want := hex.EncodeToString(d[:]), "6a32e8d39635da20f8d6fffd5ef30620"; got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

// The digest changes with every field but Version. A field that is added to Event and forgotten in the digest fails
// here.
func TestDigestCoversEveryContentField(t *testing.T) {
	t.Parallel()
	base := sampleEvent()
	want := base.Digest()
	for i := range reflect.TypeFor[Event]().NumField() {
		e := base
		name := reflect.TypeFor[Event]().Field(i).Name
		switch f := reflect.ValueOf(&e).Elem().Field(i); f.Kind() {
		case reflect.String:
			f.SetString(f.String() + "x")
		case reflect.Uint8:
			f.SetUint(f.Uint() + 1)
		case reflect.Int32:
			f.SetInt(f.Int() + 1)
		default:
			switch name {
			case "Cost":
				e.Cost.lo++
			case "Version":
				e.Version.IngestedAt++
			default:
				t.Fatalf("field %s has a kind that this test does not know", name)
			}
		}
		if changed := e.Digest() != want; changed != (name != "Version") {
			t.Errorf("changing %s changes the digest: %t", name, changed)
		}
	}
}

// Content changes when a byte moves from one field to the next.
func TestDigestKeepsFieldsApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(1, 12, -1).Draw(t, "text")
		i, j := rapid.IntRange(0, len(text)).Draw(t, "i"), rapid.IntRange(0, len(text)).Draw(t, "j")
		a := Event{Account: AccountID(text[:i]), Service: ServiceName(text[i:])}
		b := Event{Account: AccountID(text[:j]), Service: ServiceName(text[j:])}
		if (a.Digest() == b.Digest()) != (i == j) {
			t.Fatalf("%q|%q and %q|%q", a.Account, a.Service, b.Account, b.Service)
		}
	})
}

func TestVersionOrder(t *testing.T) {
	t.Parallel()
	// Each is greater than all before it, because an earlier key of the order decides before later ones.
	ascending := []Version{
		{IngestedAt: 1, SourceRevision: 1, Source: Source{1, 1, 1, -1}},
		{IngestedAt: 1, SourceRevision: 1, Source: Source{1, 1, 2, -1}},
		{IngestedAt: 1, SourceRevision: 1, Source: Source{1, 2, 0, -1}},
		{IngestedAt: 1, SourceRevision: 1, Source: Source{2, 0, 0, -1}},
		{IngestedAt: 1, SourceRevision: 1, Source: Source{0, 0, 0, 5}},
		{IngestedAt: 1, SourceRevision: 2, Source: Source{0, 0, 0, 0}},
		{IngestedAt: 2, SourceRevision: 0, Source: Source{0, 0, 0, 0}},
	}
	for i, v := range ascending {
		for j, w := range ascending {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := v.Compare(w); got != want {
				t.Errorf("%+v compared with %+v = %d, want %d", v, w, got, want)
			}
			if got := v.Ties(w); got != (v.IngestedAt == w.IngestedAt && v.SourceRevision == w.SourceRevision) {
				t.Errorf("%+v ties %+v: %t", v, w, got)
			}
		}
	}
}

func TestInstant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at   time.Time
		want Instant
		ok   bool
	}{
		{time.Unix(0, 0), 0, true},
		{time.Unix(0, -1), 0, false},
		{time.Unix(0, math.MaxInt64), math.MaxInt64, true},
		{time.Unix(0, math.MaxInt64).Add(1), 0, false},
		{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), 0, false},
		{time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), 0, false},
		{time.Date(2025, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)), Instant(time.Date(2025, 1, 2, 2, 4, 5, 6, time.UTC).UnixNano()), true},
	} {
		got, ok := InstantOf(c.at)
		if got != c.want || ok != c.ok {
			t.Errorf("InstantOf(%s) = %d, %t", c.at, got, ok)
		}
		if ok && !got.Time().Equal(c.at) {
			t.Errorf("%s comes back as %s", c.at, got.Time())
		}
	}
}

func TestOutcomeWords(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for o := range OutcomeCount {
		if s := o.String(); s == "" || seen[s] {
			t.Errorf("outcome %d is %q", o, s)
		} else {
			seen[s] = true
		}
	}
	if got := OutcomeCount.String(); got != "outcome 6" {
		t.Errorf("an unknown outcome is %q", got)
	}
}

func BenchmarkEventDigest(b *testing.B) {
	e := sampleEvent()
	b.ReportAllocs()
	for b.Loop() {
		e.Digest()
	}
}

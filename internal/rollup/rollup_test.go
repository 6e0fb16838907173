package rollup

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"daybook/internal/billing"
)

func money(t fataler, text string) billing.Money {
	t.Helper()
	m, _, err := billing.ParseMoney(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

// fataler is implemented by *testing.T, *testing.B and *rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// events draws events of one account-day with different ids.
func events() *rapid.Generator[[]billing.Event] {
	event := rapid.Custom(func(t *rapid.T) billing.Event {
		return billing.Event{
			Tenant:  "acme",
			Account: "0042",
			Day:     20089,
			Service: billing.ServiceName(rapid.SampledFrom([]string{"EC2", "S3", "", "s3", "Lambda", "ü"}).Draw(t, "service")),
			Cost:    money(t, rapid.StringMatching(`-?(0|[1-9][0-9]{0,11})\.[0-9]{1,18}`).Draw(t, "cost")),
		}
	})
	return rapid.Map(rapid.SliceOfN(event, 0, 40), func(es []billing.Event) []billing.Event {
		for i := range es {
			es[i].ID = billing.EventID(fmt.Sprint("e", i))
		}
		return es
	})
}

func fold(t fataler, es []billing.Event) Totals {
	t.Helper()
	var f Fold
	for i := range es {
		if err := f.Add(&es[i]); err != nil {
			t.Fatalf("add event %d: %v", i, err)
		}
	}
	return f.Totals()
}

func TestFoldAgreesWithBigRat(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		es := events().Draw(t, "events")
		total := new(big.Rat)
		sums, counts := map[billing.ServiceName]*big.Rat{}, map[billing.ServiceName]int64{}
		for _, e := range es {
			cost := rat(t, e.Cost)
			total.Add(total, cost)
			if sums[e.Service] == nil {
				sums[e.Service] = new(big.Rat)
			}
			sums[e.Service].Add(sums[e.Service], cost)
			counts[e.Service]++
		}
		got := fold(t, es)
		if rat(t, got.Total).Cmp(total) != 0 || got.Events != int64(len(es)) || len(got.Services) != len(sums) {
			t.Fatalf("%+v, want %s of %d events in %d services", got, total.FloatString(18), len(es), len(sums))
		}
		for _, s := range got.Services {
			if rat(t, s.Total).Cmp(sums[s.Service]) != 0 || s.Events != counts[s.Service] {
				t.Fatalf("%+v, want %s of %d events", s, sums[s.Service].FloatString(18), counts[s.Service])
			}
		}
		if !slices.IsSortedFunc(got.Services, func(a, b ServiceTotal) int { return cmp.Compare(a.Service, b.Service) }) {
			t.Fatalf("services do not ascend: %+v", got.Services)
		}
	})
}

// TestFoldDoesNotDependOnTheOrder: the same events in any order have the same totals and digest.
func TestFoldDoesNotDependOnTheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		es := events().Draw(t, "events")
		got, want := fold(t, rapid.Permutation(es).Draw(t, "order")), fold(t, es)
		if !reflect.DeepEqual(normal(got), normal(want)) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

// normal replaces an empty list of services by nil.
func normal(t Totals) Totals {
	if len(t.Services) == 0 {
		t.Services = nil
	}
	return t
}

func TestDigestCoversEveryEvent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		es := events().Draw(t, "events")
		if len(es) == 0 {
			t.Skip("nothing to change")
		}
		want := fold(t, es)
		i := rapid.IntRange(0, len(es)-1).Draw(t, "which")
		less := fold(t, slices.Delete(slices.Clone(es), i, i+1))
		if less.Digest == want.Digest {
			t.Fatalf("the digest is the same without event %d", i)
		}
		changed := slices.Clone(es)
		changed[i].Region += "x"
		if fold(t, changed).Digest == want.Digest {
			t.Fatalf("the digest is the same after a change that keeps the totals")
		}
		versioned := slices.Clone(es)
		versioned[i].Version.IngestedAt++
		if fold(t, versioned).Digest != want.Digest {
			t.Fatalf("the digest depends on the version")
		}
	})
}

func TestResetEmptiesTheFold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first, second := events().Draw(t, "first"), events().Draw(t, "second")
		f := Fold{NoDigest: rapid.Bool().Draw(t, "no digest")}
		add := func(es []billing.Event) Totals {
			for i := range es {
				if err := f.Add(&es[i]); err != nil {
					t.Fatal(err)
				}
			}
			return f.Totals()
		}
		kept := add(first)
		copied := kept
		copied.Services = slices.Clone(kept.Services)
		f.Reset()
		got, want := add(second), fold(t, second)
		if f.NoDigest {
			want.Digest = billing.Digest{}
		}
		if !reflect.DeepEqual(normal(got), normal(want)) {
			t.Fatalf("after a reset %+v, want %+v", got, want)
		}
		if !reflect.DeepEqual(kept, copied) {
			t.Fatalf("the totals returned before Reset changed: %+v, were %+v", kept, copied)
		}
	})
}

func TestOverflow(t *testing.T) {
	t.Parallel()
	most := money(t, "99999999999999999999.999999999999999999")
	least := money(t, "0.000000000000000001")
	var f Fold
	if err := f.Add(&billing.Event{ID: "a", Service: "x", Cost: most}); err != nil {
		t.Fatal(err)
	}
	before := f.Totals()
	if err := f.Add(&billing.Event{ID: "b", Service: "y", Cost: least}); !errors.Is(err, ErrOverflow) {
		t.Fatalf("total: %v", err)
	}
	if got := f.Totals(); !reflect.DeepEqual(got, before) {
		t.Errorf("after an overflow %+v, want %+v", got, before)
	}
	// A service can leave the range while the total does not.
	if err := f.Add(&billing.Event{ID: "c", Service: "y", Cost: most.Neg()}); err != nil {
		t.Fatal(err)
	}
	if err := f.Add(&billing.Event{ID: "d", Service: "x", Cost: least}); !errors.Is(err, ErrOverflow) {
		t.Fatalf("service: %v", err)
	}
	if got := f.Totals(); got.Events != 2 || got.Total.Sign() != 0 {
		t.Errorf("after an overflow %+v", got)
	}
}

func rat(t fataler, m billing.Money) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(m.String())
	if !ok {
		t.Fatalf("%s is no number", m)
	}
	return r
}

func BenchmarkFold(b *testing.B) {
	es := make([]billing.Event, 1024)
	services := []billing.ServiceName{"AmazonEC2", "AmazonS3", "AWSLambda", "AmazonRDS", "AmazonCloudWatch"}
	for i := range es {
		es[i] = billing.Event{
			Tenant: "acme", ID: billing.EventID(fmt.Sprintf("01JGXK5V7Q2M8N3P4R6S9T0WZA-%06d", i)), Account: "004211223344", Day: 20089,
			Service: services[i*7919%len(services)], Cost: money(b, fmt.Sprintf("0.%09d", i+1)),
			Region: "eu-west-1", PricingModel: "on_demand", Category: billing.Usage, Attributes: `{"team":"search"}`,
		}
	}
	for _, digest := range []bool{true, false} {
		b.Run(fmt.Sprintf("digest=%t", digest), func(b *testing.B) {
			f := Fold{NoDigest: !digest}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := f.Add(&es[i%len(es)]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

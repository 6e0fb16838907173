package state

import (
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"daybook/internal/billing"
)

// TestCosts holds Costs against Events: ids of both kinds, odd accounts, wide money, every optional field.
func TestCosts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := testOptions(vfs.NewMem())
		if err := Create("state", testIdentity(), o); err != nil {
			t.Fatal(err)
		}
		s, err := Open("state", o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		accounts := []billing.AccountID{"a", "a\x00", "a\x01b", "b", "ab"}
		days := []billing.Day{-1, 0, 20_000}
		n := rapid.IntRange(0, 60).Draw(t, "events")
		b := &delivered{}
		for i := range n {
			e := billing.Event{
				Tenant: "default", ID: billing.EventID(fmt.Sprint("event-", i)),
				Account: rapid.SampledFrom(accounts).Draw(t, "account"), Day: rapid.SampledFrom(days).Draw(t, "day"),
				Service: rapid.SampledFrom([]billing.ServiceName{"EC2", "S3"}).Draw(t, "service"),
				Cost:    billing.MoneyFromParts(rapid.Int64Range(-3, 3).Draw(t, "high"), rapid.Uint64().Draw(t, "low")),
				Version: billing.Version{
					IngestedAt: billing.Instant(rapid.Int64Range(-1e18, 2e18).Draw(t, "ingested")), SourceRevision: rapid.Int64Min(0).Draw(t, "revision"),
					Source: billing.Source{Offset: int64(i), RecordTime: rapid.Int64Range(-1, 1<<50).Draw(t, "time")},
				},
			}
			if rapid.Bool().Draw(t, "uuid") {
				e.ID = billing.EventID(fmt.Sprintf("%08x-0000-4000-8000-00000000beef", i))
			}
			if rapid.Bool().Draw(t, "more") {
				e.Region, e.PricingModel, e.Category, e.Period, e.Attributes = "r", "p", "Usage", "2025-01", `{"a":1}`
			}
			b.Records = append(b.Records, Record{Event: e})
		}
		b.Advances = []Advance{advance(0, int64(n))}
		if _, err := s.Apply(b.batch()); err != nil {
			t.Fatal(err)
		}
		r, err := s.Reader()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		from, to := rapid.SampledFrom(append(accounts, "")).Draw(t, "from"), rapid.SampledFrom(append(accounts, "")).Draw(t, "to")
		for _, d := range days {
			var lists [2][]string
			for i, events := range []iter.Seq2[*billing.Event, error]{r.Events("default", d, from, to), r.Costs("default", d, from, to)} {
				var last billing.AccountID
				for e, err := range events {
					if err != nil {
						t.Fatal(err)
					}
					if e.Account < last {
						t.Fatalf("account %q follows %q", e.Account, last)
					}
					last = e.Account
					lists[i] = append(lists[i], fmt.Sprintf("%q %s %s", e.Account, e.Service, e.Cost))
				}
				slices.Sort(lists[i])
			}
			if !slices.Equal(lists[0], lists[1]) {
				t.Fatalf("day %s, [%q, %q): Events %q\nCosts %q", d, from, to, lists[0], lists[1])
			}
		}
	})
}

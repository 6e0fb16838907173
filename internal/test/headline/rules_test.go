package headline

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"daybook/internal/billing"
	"daybook/internal/decode"
	"daybook/internal/dedup"
	"daybook/internal/rollup"
	"daybook/internal/test/oracle"
)

// TestRulesAgreeWithModel joins decode, dedup and rollup by a map, in any
// order of arrival, and compares with the model.
func TestRulesAgreeWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := place(messages(3).Draw(t, "log"))
		model := oracle.New(billing.DefaultRules(), "billing")
		for _, r := range log {
			model.Add(r)
		}
		arrival := rapid.Permutation(numbers(len(log))).Draw(t, "arrival")

		decoder := decode.New(billing.DefaultRules())
		winners := map[oracle.EventKey]dedup.Winner{}
		events := map[oracle.EventKey]billing.Event{}
		rejected := 0
		for _, i := range arrival {
			r := log[i]
			var e billing.Event
			_, no := decoder.Decode(decode.Record{Topic: "billing", Source: source(r), Null: r.Null, Value: r.Value}, &e)
			if no != nil {
				rejected++
				continue
			}
			key := oracle.EventKey{Tenant: e.Tenant, ID: e.ID}
			prev, ok := winners[key]
			res, err := dedup.Resolve(prev, ok, &e, e.Digest(), func() (billing.Money, error) { return events[key].Cost, nil })
			if err != nil {
				t.Fatal(err)
			}
			winners[key] = res.Winner
			if res.Winner.Deleted {
				delete(events, key)
			}
			if res.Put {
				events[key] = e
			}
		}

		modelTables := model.Tables()
		if rejected != len(modelTables.Rejected) {
			t.Errorf("%d rejected, the model says %d", rejected, len(modelTables.Rejected))
		}
		for key, want := range modelTables.Winners {
			got, ok := winners[key]
			if !ok || got.Deleted != want.Deleted || got.Version.Source != source(want.From) || got.Tied != modelTables.Ties[key] {
				t.Errorf("winner of %v: %+v, the model says %+v, tied %t", key, got, want, modelTables.Ties[key])
			}
		}
		if len(winners) != len(modelTables.Winners) {
			t.Errorf("%d winners, the model says %d", len(winners), len(modelTables.Winners))
		}
		compareTotals(t, fold(t, events), modelTables)
	})
}

// fold rolls the winners up per account-day.
func fold(t *rapid.T, events map[oracle.EventKey]billing.Event) map[billing.AccountDay]rollup.Totals {
	days := map[billing.AccountDay]*rollup.Fold{}
	for _, e := range events {
		f, ok := days[e.AccountDay()]
		if !ok {
			f = &rollup.Fold{}
			days[e.AccountDay()] = f
		}
		if err := f.Add(&e); err != nil {
			t.Fatal(err)
		}
	}
	totals := map[billing.AccountDay]rollup.Totals{}
	for day, f := range days {
		totals[day] = f.Totals()
	}
	return totals
}

func compareTotals(t *rapid.T, got map[billing.AccountDay]rollup.Totals, modelTables *oracle.Tables) {
	withEvents := 0
	for cell, want := range modelTables.Accounts {
		if want.Events == 0 {
			continue
		}
		withEvents++
		day, err := billing.ParseDay(cell.Day)
		if err != nil {
			t.Fatal(err)
		}
		sum := got[billing.AccountDay{Tenant: cell.Tenant, Account: billing.AccountID(cell.Account), Day: day}]
		if sum.Total.String() != oracle.Text(want.USD) || sum.Events != want.Events {
			t.Errorf("%v: %v of %d events, the model says %s of %d", cell, sum.Total, sum.Events, oracle.Text(want.USD), want.Events)
		}
		parts := new(big.Rat)
		for _, s := range sum.Services {
			service := cell
			service.Service = string(s.Service)
			want := modelTables.Services[service]
			if want.USD == nil || s.Total.String() != oracle.Text(want.USD) || s.Events != want.Events {
				t.Errorf("%v: %v of %d events, the model says %+v", service, s.Total, s.Events, want)
				continue
			}
			parts.Add(parts, want.USD)
		}
		if parts.Cmp(want.USD) != 0 {
			t.Errorf("%v: services sum to %s of %s", cell, oracle.Text(parts), oracle.Text(want.USD))
		}
	}
	if len(got) != withEvents {
		t.Errorf("%d account-days, the model says %d", len(got), withEvents)
	}
}

func numbers(n int) []int {
	ns := make([]int, n)
	for i := range ns {
		ns[i] = i
	}
	return ns
}

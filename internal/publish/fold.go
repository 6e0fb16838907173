package publish

import (
	"context"
	"fmt"
	"iter"

	"daybook/internal/billing"
	"daybook/internal/rollup"
	"daybook/internal/state"
)

// cancelEvery is after how many events a scan looks whether it is still wanted.
const cancelEvery = 1 << 14

// folded is one account-day as its events add up.
type folded struct {
	account billing.AccountID
	totals  rollup.Totals
}

// eventsOf is a part of a day's winners that also ends with ctx.
func eventsOf(ctx context.Context, r *state.Reader, t billing.TenantID, d billing.Day, from, to billing.AccountID) iter.Seq2[*billing.Event, error] {
	return within(ctx, r.Events(t, d, from, to))
}

// within are events that also end with ctx.
func within(ctx context.Context, events iter.Seq2[*billing.Event, error]) iter.Seq2[*billing.Event, error] {
	return func(yield func(*billing.Event, error) bool) {
		n := 0
		for e, err := range events {
			if n++; n%cancelEvery == 0 && err == nil {
				err = ctx.Err()
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// after is the least account id greater than a.
func after(a billing.AccountID) billing.AccountID { return a + "\x00" }

// foldDay adds up account-days, ascending: all of a day, or those named.
// One without events is not among the result. Digests are made only where the
// day is compared with the release of another state.
func foldDay(ctx context.Context, r *state.Reader, t billing.TenantID, w *dayWork) ([]folded, error) {
	fold := rollup.Fold{NoDigest: w.prev == nil || w.known}
	if w.all {
		return foldRange(ctx, nil, &fold, r, t, w.day, "", "")
	}
	var out []folded
	var err error
	for _, a := range w.accounts() {
		if out, err = foldRange(ctx, out, &fold, r, t, w.day, a, after(a)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// foldRange appends the account-days of a range of accounts to out.
func foldRange(ctx context.Context, out []folded, fold *rollup.Fold, r *state.Reader, t billing.TenantID, d billing.Day, from, to billing.AccountID) ([]folded, error) {
	var account billing.AccountID
	any := false
	end := func() {
		if any {
			out = append(out, folded{account: account, totals: fold.Totals()})
			fold.Reset()
		}
	}
	events := r.Events
	if fold.NoDigest {
		events = r.Costs
	}
	for e, err := range within(ctx, events(t, d, from, to)) {
		if err != nil {
			return nil, fmt.Errorf("read events of %s: %w", d, err)
		}
		if !any || e.Account != account {
			end()
			account, any = e.Account, true
		}
		if err := fold.Add(e); err != nil {
			return nil, fmt.Errorf("account %q on %s: %w", account, d, err)
		}
	}
	end()
	return out, nil
}

package publish

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

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
func foldDay(ctx context.Context, r *state.Reader, t billing.TenantID, w *dayPlan) ([]folded, error) {
	fold := rollup.Fold{NoDigest: w.prev == nil || w.known}
	if w.all {
		return foldAll(ctx, fold.NoDigest, r, t, w)
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

// rangesPerCore is into how many ranges of accounts a day is split for each core: a few, because
// accounts differ in size.
const rangesPerCore = 4

// foldAll adds up all of a day, ranges of accounts at the same time. Where they are split says what is known
// of the day's accounts; a day of which nothing is known is one range.
func foldAll(ctx context.Context, noDigest bool, r *state.Reader, t billing.TenantID, w *dayPlan) ([]folded, error) {
	cores := runtime.GOMAXPROCS(0)
	known := w.accounts()
	bounds := []billing.AccountID{""} // of the ranges; an empty one is the end
	if n := min(cores*rangesPerCore, len(known)); cores > 1 {
		for i := 1; i < n; i++ {
			bounds = append(bounds, known[i*len(known)/n])
		}
	}
	bounds = append(bounds, "")
	parts := make([][]folded, len(bounds)-1)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(cores)
	for i := range parts {
		g.Go(func() (err error) {
			parts[i], err = foldRange(ctx, nil, &rollup.Fold{NoDigest: noDigest}, r, t, w.day, bounds[i], bounds[i+1])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(parts...), nil
}

// foldRange appends the account-days of a range of accounts to out.
func foldRange(ctx context.Context, out []folded, fold *rollup.Fold, r *state.Reader, t billing.TenantID, d billing.Day, from, to billing.AccountID) ([]folded, error) {
	events := r.Events
	if fold.NoDigest {
		events = r.Costs
	}
	f := folder{fold: fold, out: out}
	for e, err := range within(ctx, events(t, d, from, to)) {
		if err != nil {
			return nil, fmt.Errorf("read events of %s: %w", d, err)
		}
		if err := f.add(e); err != nil {
			return nil, err
		}
	}
	return f.end(), nil
}

// folder adds up events that ascend by account.
type folder struct {
	fold    *rollup.Fold
	account billing.AccountID // in hand
	any     bool
	out     []folded
}

func (f *folder) add(e *billing.Event) error {
	if !f.any || e.Account != f.account {
		f.end()
		f.account, f.any = e.Account, true
	}
	if err := f.fold.Add(e); err != nil {
		return fmt.Errorf("account %q on %s: %w", e.Account, e.Day, err)
	}
	return nil
}

// end closes the account-day in hand, and returns all.
func (f *folder) end() []folded {
	if f.any {
		f.out = append(f.out, folded{account: f.account, totals: f.fold.Totals()})
		f.fold.Reset()
		f.any = false
	}
	return f.out
}

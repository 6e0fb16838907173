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

// cancelEvery is the number of events between two checks of a scan for cancellation.
const cancelEvery = 1 << 14

// accountTotals are the totals of one account-day, folded from its events.
type accountTotals struct {
	account billing.AccountID
	totals  rollup.Totals
}

// eventsOf are the winners of a day with from <= account < to, ascending; an empty bound is none. The iteration also
// ends with an error when ctx ends.
func eventsOf(ctx context.Context, r *state.Reader, t billing.TenantID, d billing.Day, from, to billing.AccountID) iter.Seq2[*billing.Event, error] {
	return within(ctx, r.Events(t, d, from, to))
}

// within ends an iteration with an error when ctx ends.
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

// after is the least account id that is greater than a.
func after(a billing.AccountID) billing.AccountID { return a + "\x00" }

// foldDay folds the account-days that a plan names, ascending. An account-day without events is not in the result.
// Digests are computed only where the day is compared with a release of another state.
func foldDay(ctx context.Context, r *state.Reader, t billing.TenantID, w *dayPlan) ([]accountTotals, error) {
	fold := rollup.Fold{NoDigest: w.prev == nil || w.known}
	if w.all {
		return foldAll(ctx, fold.NoDigest, r, t, w)
	}
	var out []accountTotals
	var err error
	for _, a := range w.accounts() {
		if out, err = foldRange(ctx, out, &fold, r, t, w.day, a, after(a)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// rangesPerCore is the number of account ranges per core into which a day is split: more than one, because accounts
// differ in size.
const rangesPerCore = 4

// foldAll folds all of a day, ranges of accounts concurrently. The bounds are taken from the dirty accounts; a day
// without any is one range.
func foldAll(ctx context.Context, noDigest bool, r *state.Reader, t billing.TenantID, w *dayPlan) ([]accountTotals, error) {
	cores := runtime.GOMAXPROCS(0)
	known := w.accounts()
	bounds := []billing.AccountID{""} // of the ranges; an empty one is the end
	if n := min(cores*rangesPerCore, len(known)); cores > 1 {
		for i := 1; i < n; i++ {
			bounds = append(bounds, known[i*len(known)/n])
		}
	}
	bounds = append(bounds, "")
	parts := make([][]accountTotals, len(bounds)-1)
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

// foldRange folds the account-days of a range of accounts and appends them to out.
func foldRange(ctx context.Context, out []accountTotals, fold *rollup.Fold, r *state.Reader, t billing.TenantID, d billing.Day, from, to billing.AccountID) ([]accountTotals, error) {
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

// folder folds events that ascend by account.
type folder struct {
	fold    *rollup.Fold
	account billing.AccountID // the current one
	started bool              // there is a current account
	out     []accountTotals
}

func (f *folder) add(e *billing.Event) error {
	if !f.started || e.Account != f.account {
		f.end()
		f.account, f.started = e.Account, true
	}
	if err := f.fold.Add(e); err != nil {
		return fmt.Errorf("account %q on %s: %w", e.Account, e.Day, err)
	}
	return nil
}

// end closes the current account-day and returns all.
func (f *folder) end() []accountTotals {
	if f.started {
		f.out = append(f.out, accountTotals{account: f.account, totals: f.fold.Totals()})
		f.fold.Reset()
		f.started = false
	}
	return f.out
}

package publish

import (
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"strings"

	"daybook/internal/billing"
	"daybook/internal/lake"
	"daybook/internal/rollup"
)

// eventFacts is what the manifest says of the events in a file or a day.
type eventFacts struct {
	digest  billing.Digest
	regions map[string]struct{}
	pricing map[string]struct{}
}

func newEventFacts() eventFacts {
	return eventFacts{regions: map[string]struct{}{}, pricing: map[string]struct{}{}}
}

// add merges the facts of other events into f.
func (f *eventFacts) add(g eventFacts) {
	f.digest = plus(f.digest, g.digest)
	for k := range g.regions {
		f.regions[k] = struct{}{}
	}
	for k := range g.pricing {
		f.pricing[k] = struct{}{}
	}
}

// note takes one event's dimension values.
func (f *eventFacts) note(e *billing.Event) {
	if e.Region != "" {
		if _, ok := f.regions[string(e.Region)]; !ok {
			f.regions[strings.Clone(string(e.Region))] = struct{}{}
		}
	}
	if e.PricingModel != "" {
		if _, ok := f.pricing[string(e.PricingModel)]; !ok {
			f.pricing[strings.Clone(string(e.PricingModel))] = struct{}{}
		}
	}
}

// plus combines order-independent digests.
func plus(a, b billing.Digest) billing.Digest {
	sum, _ := rollup.Merge(rollup.Totals{Digest: a}, rollup.Totals{Digest: b}) // without money nothing overflows
	return sum.Digest
}

// writeEvents links the event files in which nothing changed and writes the
// others. What is written is folded again on its way and held against the
// day's rows.
func (b *dayBuilder) writeEvents(ctx context.Context, w *dayWork, now dayRows, folds []folded, r *dayResult) error {
	changed := b.changedEvents(w, now, folds, r)
	var accounts []billing.AccountID
	var counts []int64
	rows := make(map[billing.AccountID]*lake.AccountDayRow, len(now.rows))
	for i := range now.rows {
		row := &now.rows[i]
		rows[row.Account] = row
		if row.Events > 0 {
			accounts, counts = append(accounts, row.Account), append(counts, row.Events)
		}
	}
	facts := newEventFacts()
	next := 0 // the first account not yet in a cut
	for part, cut := range lake.Cuts(accounts, counts, b.cutBy) {
		first := next
		for next < len(accounts) && accounts[next] <= cut.Last {
			next++
		}
		if f, ok := b.unchanged(w, cut, changed); ok {
			r.links = append(r.links, f)
			linked, err := factsOf(&f)
			if err != nil {
				return err
			}
			facts.add(linked)
			continue
		}
		own, err := b.writeCut(ctx, w.day, part, cut, accounts[first:next], rows, r)
		if err != nil {
			return err
		}
		facts.add(own)
	}
	r.entry.Digest = hexDigest(facts.digest)
	r.entry.Regions, r.entry.Pricing = sortedKeys(facts.regions), sortedKeys(facts.pricing)
	return nil
}

// changedEvents says which accounts' events differ from the released files'.
func (b *dayBuilder) changedEvents(w *dayWork, now dayRows, folds []folded, r *dayResult) func(first, last billing.AccountID) bool {
	every := func(_, _ billing.AccountID) bool { return true }
	if w.prev == nil || w.forced || len(r.differ) > 0 {
		return every
	}
	if !w.known {
		// Another state: only the digest of the day can say that nothing changed.
		var digest billing.Digest
		for i := range folds {
			digest = plus(digest, folds[i].totals.Digest)
		}
		if hexDigest(digest) == w.prev.Digest {
			return func(_, _ billing.AccountID) bool { return false }
		}
		return every
	}
	return func(first, last billing.AccountID) bool {
		for a := range w.dirty {
			if first <= a && a <= last {
				return true
			}
		}
		return false
	}
}

// unchanged finds the released file that holds exactly a cut's events.
func (b *dayBuilder) unchanged(w *dayWork, cut lake.Cut, changed func(first, last billing.AccountID) bool) (lake.File, bool) {
	if changed(cut.First, cut.Last) {
		return lake.File{}, false
	}
	for _, f := range w.of(lake.Events) {
		if f.First == cut.First && f.Last == cut.Last && f.Rows == cut.Rows {
			return f, true
		}
	}
	return lake.File{}, false
}

// factsOf are the facts of a file, as its release noted them.
func factsOf(f *lake.File) (eventFacts, error) {
	facts := newEventFacts()
	digest, err := hex.DecodeString(f.Digest)
	if err != nil || len(digest) != len(facts.digest) {
		return facts, fmt.Errorf("manifest of release %d: %s: digest %q: %w", f.WrittenBy, f.Path, f.Digest, lake.ErrDamaged)
	}
	copy(facts.digest[:], digest)
	for _, r := range f.Regions {
		facts.regions[r] = struct{}{}
	}
	for _, p := range f.Pricing {
		facts.pricing[p] = struct{}{}
	}
	return facts, nil
}

// writeCut writes one file of events, and holds each account's events against
// its row on the way.
func (b *dayBuilder) writeCut(ctx context.Context, d billing.Day, part int, cut lake.Cut, accounts []billing.AccountID, rows map[billing.AccountID]*lake.AccountDayRow, r *dayResult) (eventFacts, error) {
	facts := newEventFacts()
	seen := 0
	end := func(account billing.AccountID, totals rollup.Totals) {
		row := rows[account]
		if row == nil || row.Total != totals.Total || row.Events != totals.Events {
			r.faults.add(gateSums, fmt.Sprintf("events of account %q on %s come to %s in %d events, its account-day does not", account, d, totals.Total, totals.Events))
		}
		facts.digest = plus(facts.digest, totals.Digest)
		seen++
	}
	events := func() iter.Seq2[*lake.EventRow, error] {
		return func(yield func(*lake.EventRow, error) bool) {
			var fold rollup.Fold
			var row lake.EventRow
			var account billing.AccountID
			for e, err := range eventsOf(ctx, b.reader, b.tenant, d, cut.First, after(cut.Last)) {
				if err != nil {
					yield(nil, err)
					return
				}
				if e.Account != account {
					if account != "" {
						end(account, fold.Totals())
						fold.Reset()
					}
					account = billing.AccountID(strings.Clone(string(e.Account)))
				}
				if err := fold.Add(e); err != nil {
					yield(nil, err)
					return
				}
				facts.note(e)
				row.Event, row.Topic = *e, b.topics[e.Version.Source.Topic].Name
				if row.Event.Attributes, err = b.attributes.of(e); err != nil {
					yield(nil, err)
					return
				}
				if !yield(&row, nil) {
					return
				}
			}
			if account != "" {
				end(account, fold.Totals())
			}
		}
	}
	f, err := b.build.WriteEvents(d, part, events())
	if err != nil {
		return facts, fmt.Errorf("write events of %s: %w", d, err)
	}
	f.Digest, f.Regions, f.Pricing = hexDigest(facts.digest), sortedKeys(facts.regions), sortedKeys(facts.pricing)
	if err := b.build.Amend(f); err != nil {
		return facts, fmt.Errorf("note facts of %s: %w", f.Path, err)
	}
	if seen != len(accounts) {
		r.faults.add(gateSums, fmt.Sprintf("events of %s, accounts %q to %q: %d accounts written, %d expected", d, cut.First, cut.Last, seen, len(accounts)))
	}
	return facts, nil
}

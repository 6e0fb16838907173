package publish

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"daybook/internal/billing"
	"daybook/internal/lake"
	"daybook/internal/rollup"
)

// eventFacts are the facts about the events of a day that a manifest lists.
type eventFacts struct {
	digest  billing.Digest
	regions map[string]struct{}
	pricing map[string]struct{}
}

func newEventFacts() eventFacts {
	return eventFacts{regions: map[string]struct{}{}, pricing: map[string]struct{}{}}
}

// add adds the facts of a file.
func (f *eventFacts) add(file *lake.File) error {
	digest, err := lake.ParseDigest(file.Digest)
	if err != nil {
		return fmt.Errorf("manifest of release %d: %s: %w", file.WrittenBy, file.Path, err)
	}
	f.digest = f.digest.Plus(digest)
	addAll(f.regions, file.Regions)
	addAll(f.pricing, file.Pricing)
	return nil
}

// writeOnce writes the events of a new day, which no release has, as one file, and folds them in the same pass. If
// the day has more events than a file holds, ok is false and no file is left: the day is then read twice.
func (b *dayBuilder) writeOnce(ctx context.Context, w *dayPlan) (folds []accountTotals, f lake.File, ok bool, err error) {
	if w.prev != nil || b.large.Load() {
		return nil, f, false, nil
	}
	folder := folder{fold: &rollup.Fold{NoDigest: true}}
	f, ok, err = b.build.WriteWholeDay(w.day, b.cutBy, func(yield func(*lake.EventRow, error) bool) {
		var row lake.EventRow
		for e, err := range eventsOf(ctx, b.reader, b.tenant, w.day, "", "") {
			if err == nil {
				if err = folder.add(e); err == nil {
					err = b.row(e, &row)
				}
			}
			if !yield(&row, err) || err != nil {
				return
			}
		}
	})
	if err != nil {
		return nil, f, false, fmt.Errorf("write events of %s: %w", w.day, err)
	}
	folds = folder.end()
	if !ok && len(folds) > 0 {
		b.large.Store(true) // other days of the tenant may be as large: try no more
	}
	return folds, f, ok, nil
}

// row converts an event to the row that is published.
func (b *dayBuilder) row(e *billing.Event, row *lake.EventRow) (err error) {
	row.Event, row.Topic, row.Digest = *e, b.topics[e.Version.Source.Topic].Name, e.Digest()
	row.Event.Attributes, err = b.attributes.of(e)
	return err
}

// writeEvents links a day's event files in which nothing changed and writes the others.
func (b *dayBuilder) writeEvents(ctx context.Context, w *dayPlan, now dayRows, folds []accountTotals, r *dayResult) (eventFacts, error) {
	facts := newEventFacts()
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
	writer := eventFileWriter{dayBuilder: b, w: w, rows: rows, changed: changed, released: map[string]*lake.ReleasedEvents{}, r: r}
	next := 0 // the first account not yet in a cut
	for part, cut := range lake.Cuts(accounts, counts, b.cutBy) {
		first := next
		for next < len(accounts) && accounts[next] <= cut.Last {
			next++
		}
		f, linked := b.unchanged(w, cut, changed)
		if linked {
			r.links = append(r.links, f)
		} else {
			var err error
			if f, err = writer.write(ctx, part, accounts[first:next], counts[first:next]); err != nil {
				return facts, err
			}
		}
		if err := facts.add(&f); err != nil {
			return facts, err
		}
	}
	return facts, nil
}

// changedEvents returns a function that reports whether the events of an account in a range, both ends inclusive,
// may differ from those in the released files.
func (b *dayBuilder) changedEvents(w *dayPlan, now dayRows, folds []accountTotals, r *dayResult) func(first, last billing.AccountID) bool {
	every := func(_, _ billing.AccountID) bool { return true }
	if w.prev == nil || w.forced || len(r.differ) > 0 {
		return every
	}
	if !w.known {
		// Another state: only the digest of the day can say that nothing changed.
		var digest billing.Digest
		for i := range folds {
			digest = digest.Plus(folds[i].totals.Digest)
		}
		if hexDigest(digest) == w.prev.Digest {
			return func(_, _ billing.AccountID) bool { return false }
		}
		return every
	}
	dirty := slices.Sorted(maps.Keys(w.dirty))
	return func(first, last billing.AccountID) bool {
		at, _ := slices.BinarySearch(dirty, first)
		return at < len(dirty) && dirty[at] <= last
	}
}

// unchanged finds the released file that holds exactly the events of a cut.
func (b *dayBuilder) unchanged(w *dayPlan, cut lake.Cut, changed func(first, last billing.AccountID) bool) (lake.File, bool) {
	if changed(cut.First, cut.Last) {
		return lake.File{}, false
	}
	for _, f := range w.files[lake.Events] {
		if f.First == cut.First && f.Last == cut.Last && f.Rows == cut.Rows {
			return f, true
		}
	}
	return lake.File{}, false
}

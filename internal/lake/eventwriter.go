package lake

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/parquet-go/parquet-go/format"

	"daybook/internal/billing"
)

// eventWriter writes a file of events group by group, and notes what is in each. Rows go into the columns as they
// come, so that nothing of them need be kept until a group is cut.
type eventWriter struct {
	build  *Build
	day    billing.Day
	table  *table
	groups rowGroups
	last   [2]string // account and event id of the row before
	held   []contribution
	notes  []groupNote
	kept   []bool // the groups that were taken over
}

// contribution is what a row that is held adds to its group's note.
type contribution struct {
	cost   billing.Money
	digest billing.Digest
}

// rows takes rows that follow those before.
func (w *eventWriter) rows(rows iter.Seq2[*EventRow, error]) error {
	for row, err := range rows {
		if err != nil {
			return err
		}
		e := &row.Event
		if err := w.build.checkKey(e.Tenant, string(e.Account), string(e.ID)); err != nil {
			return err
		}
		if e.Day != w.day {
			return fmt.Errorf("event %q is of %s", e.ID, e.Day)
		}
		key := [2]string{string(e.Account), string(e.ID)}
		if !ascends(w.last, key) {
			return fmt.Errorf("event %q of account %q follows event %q of account %q", e.ID, e.Account, w.last[1], w.last[0])
		}
		w.last = key
		if err := w.groups.before(e.Account); err != nil {
			return err
		}
		w.add(row)
		if err := w.groups.add(); err != nil {
			return err
		}
	}
	return nil
}

// add puts a row into the columns.
func (w *eventWriter) add(row *EventRow) {
	e, source := &row.Event, &row.Event.Version.Source
	c := w.table.columns
	c[0].text(string(e.Tenant))
	c[1].text(string(e.ID))
	c[2].text(string(e.Account))
	c[3].text(string(e.Service))
	c[4].textOrNull(string(e.Region))
	c[5].textOrNull(string(e.PricingModel))
	c[6].textOrNull(string(e.Category))
	c[7].textOrNull(string(e.Period))
	c[8].money(e.Cost)
	c[9].int64(int64(e.Version.IngestedAt) / 1000)
	c[10].text(row.Topic)
	c[11].int32(source.Partition)
	c[12].int64(source.Offset)
	if source.RecordTime >= 0 {
		c[13].int64(source.RecordTime * 1000) // from milliseconds
	} else {
		c[13].null()
	}
	c[14].textOrNull(e.Attributes)
	w.held = append(w.held, contribution{e.Cost, row.Digest})
}

// group writes a row group of the first rows that are held.
func (w *eventWriter) group(first, last billing.AccountID, rows int) error {
	for _, c := range w.table.columns {
		if err := c.endPages(rows); err != nil {
			return err
		}
	}
	facts := newEventFacts()
	for _, of := range w.held[:rows] {
		if err := facts.add(of.cost, of.digest); err != nil {
			return err
		}
	}
	w.held = append(w.held[:0], w.held[rows:]...)
	regions, pricing := w.table.columns[4], w.table.columns[5]
	facts.words(regions.words.all[:regions.named], pricing.words.all[:pricing.named])
	n := groupNote{First: first, Last: last, Rows: int64(rows)}
	w.notes, w.kept = append(w.notes, facts.note(n)), append(w.kept, false)
	return w.table.endGroup()
}

// keep takes over row groups.
func (w *eventWriter) keep(k *ReusedRowGroups) error {
	if first := string(k.cut.First); first <= w.last[0] {
		return fmt.Errorf("row groups from account %q follow account %q", first, w.last[0])
	}
	for i := k.at; i < k.upTo; i++ {
		if err := w.table.keep(k.from, i); err != nil {
			return err
		}
		w.notes, w.kept = append(w.notes, k.from.notes[i]), append(w.kept, true)
	}
	w.last = [2]string{string(k.cut.Last) + "\x00"}
	w.groups.previous = k.cut.Last
	return nil
}

// close puts the notes into the footer, and what they come to into the manifest's entry.
func (w *eventWriter) close(f *File) error {
	facts := newEventFacts()
	for i := range w.notes {
		if err := facts.addNote(&w.notes[i]); err != nil {
			return err
		}
	}
	w.table.sum = facts.sum
	if len(w.notes) == 0 {
		return nil
	}
	f.First, f.Last = w.notes[0].First, w.notes[len(w.notes)-1].Last
	f.Digest = hex.EncodeToString(facts.digest[:])
	f.Regions, f.Pricing = slices.Sorted(maps.Keys(facts.regions)), slices.Sorted(maps.Keys(facts.pricing))
	text, err := json.Marshal(w.notes)
	if err != nil {
		return fmt.Errorf("note row groups: %w", err)
	}
	w.table.notes = append(w.table.notes, format.KeyValue{Key: groupsKey, Value: string(text)})
	return nil
}

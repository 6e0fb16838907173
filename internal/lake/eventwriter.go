package lake

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"

	"daybook/internal/billing"
)

// eventWriter writes a file of events, row group by row group, with a note on each. It appends each row to the column
// buffers before it is known in which row group the row will be.
type eventWriter struct {
	build  *Build
	day    billing.Day
	file   *fileWriter
	groups rowGroupSplitter
	last   [2]string // account and event id of the last row

	pending []contribution // of rows that are in no row group yet
	notes   []groupNote
	reused  []bool // the row groups that were copied
}

// contribution is what a row adds to the note of its row group.
type contribution struct {
	cost   billing.Money
	digest billing.Digest
}

// writeRows adds rows, which follow the rows before.
func (w *eventWriter) writeRows(rows iter.Seq2[*EventRow, error]) error {
	for row, err := range rows {
		if err != nil {
			return err
		}
		e := &row.Event
		if err := w.build.checkKey(e.Tenant, string(e.Account), string(e.ID)); err != nil {
			return err
		}
		if e.Day != w.day {
			return fmt.Errorf("event %q belongs to %s, the file to %s", e.ID, e.Day, w.day)
		}
		key := [2]string{string(e.Account), string(e.ID)}
		if !ascends(w.last, key) {
			return fmt.Errorf("event %q of account %q follows event %q of account %q", e.ID, e.Account, w.last[1], w.last[0])
		}
		w.last = key
		if err := w.groups.beginRow(e.Account); err != nil {
			return err
		}
		w.appendRow(row)
		if err := w.groups.endRow(); err != nil {
			return err
		}
	}
	return nil
}

// appendRow adds a row to the column buffers.
func (w *eventWriter) appendRow(row *EventRow) {
	e, source := &row.Event, &row.Event.Version.Source
	c := w.file.Columns()
	c[0].AppendString(string(e.Tenant))
	c[1].AppendString(string(e.ID))
	c[2].AppendString(string(e.Account))
	c[3].AppendString(string(e.Service))
	c[4].AppendStringOrNull(string(e.Region))
	c[5].AppendStringOrNull(string(e.PricingModel))
	c[6].AppendStringOrNull(string(e.Category))
	c[7].AppendStringOrNull(string(e.Period))
	c[8].AppendDecimal(decimalOf(e.Cost))
	c[9].AppendInt64(int64(e.Version.IngestedAt) / 1000) // from nanoseconds
	c[10].AppendString(row.Topic)
	c[11].AppendInt32(source.Partition)
	c[12].AppendInt64(source.Offset)
	if source.RecordTime >= 0 {
		c[13].AppendInt64(source.RecordTime * 1000) // from milliseconds
	} else {
		c[13].AppendNull()
	}
	c[14].AppendStringOrNull(e.Attributes)
	w.pending = append(w.pending, contribution{e.Cost, row.Digest})
}

// writeRowGroup ends a row group with the first pending rows.
func (w *eventWriter) writeRowGroup(first, last billing.AccountID, rows int) error {
	if err := w.file.EncodePages(rows); err != nil {
		return err
	}
	summary := newEventSummary()
	for _, of := range w.pending[:rows] {
		if err := summary.addEvent(of.cost, of.digest); err != nil {
			return err
		}
	}
	w.pending = append(w.pending[:0], w.pending[rows:]...)
	regions, pricing := w.file.Columns()[4], w.file.Columns()[5]
	summary.addDimensions(regions.DictionaryValues(), pricing.DictionaryValues())
	w.notes = append(w.notes, summary.note(first, last, int64(rows)))
	w.reused = append(w.reused, false)
	return w.file.EndRowGroup()
}

// copyRowGroups copies row groups of a released file.
func (w *eventWriter) copyRowGroups(r *ReusedRowGroups) error {
	if first := string(r.cut.First); first <= w.last[0] {
		return fmt.Errorf("row groups from account %q follow account %q", first, w.last[0])
	}
	for i := r.first; i < r.end; i++ {
		if err := w.file.CopyRowGroup(r.from.file, i); err != nil {
			return damaged(err)
		}
		w.notes, w.reused = append(w.notes, r.from.notes[i]), append(w.reused, true)
	}
	w.last = [2]string{string(r.cut.Last) + "\x00"} // no event of the last account may follow
	w.groups.previous = r.cut.Last
	return nil
}

// finish puts the notes into the footer, and their totals into the manifest's entry.
func (w *eventWriter) finish(f *File) error {
	summary := newEventSummary()
	for i := range w.notes {
		if err := summary.addNote(&w.notes[i]); err != nil {
			return err
		}
	}
	w.file.sum = summary.sum
	if len(w.notes) == 0 {
		return nil
	}
	f.First, f.Last = w.notes[0].First, w.notes[len(w.notes)-1].Last
	f.Digest = hex.EncodeToString(summary.digest[:])
	f.Regions, f.Pricing = slices.Sorted(maps.Keys(summary.regions)), slices.Sorted(maps.Keys(summary.pricing))
	text, err := json.Marshal(w.notes)
	if err != nil {
		return fmt.Errorf("encode notes on row groups: %w", err)
	}
	w.file.SetMetadata(groupNotesKey, string(text))
	return nil
}

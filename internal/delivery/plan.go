package delivery

import (
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"daybook/internal/billing"
)

// Mode is the relation of a load to earlier loads of its source.
type Mode int

// The modes.
const (
	First   Mode = iota // the first of its days; a part of the same delivery may follow
	Append              // added to the earlier ids
	Replace             // replaces the earlier ids
)

// Load is a load that is about to be pushed.
type Load struct {
	Mode   Mode
	Window Window          // of Replace: the days whose complete content it is
	At     billing.Instant // of Replace: when it was exported
	ID     string          // of NewLoadID: in the Mark of the load's records
	// MaxShrinkPercent bounds by how many percent a Replace may have fewer ids than its days had before.
	MaxShrinkPercent int64
}

// Plan has the changes of a load. Call Begin before the first record is pushed, and Finish after all records,
// including its Deletes, are acknowledged.
type Plan struct {
	Rows    int64 // ids of the load
	Held    int64 // ids that the window had before
	Deleted int64 // of those, the ids that are missing now
	// Newer has the days of the window that a newer delivery has, with its exported_at. The rows of these days are
	// not part of the plan: do not push them.
	Newer map[billing.Day]billing.Instant

	index   *Index
	load    Load
	days    map[billing.Day]dayFacts
	begun   begun
	next    record // the index once the load has finished
	deletes string // file of the entries to delete
}

// Plan compares the ids of a load with the index. ids has all entries of the load and is consumed. Error: ErrRefused.
func (x *Index) Plan(load Load, ids *Sorter) (*Plan, error) {
	p := &Plan{
		Newer: map[billing.Day]billing.Instant{}, index: x, load: load, days: ids.days,
		next: x.record, deletes: filepath.Join(x.tmp(), "deletes"+idsSuffix),
	}
	p.next.Days, p.next.Months, p.next.Loads = maps.Clone(x.record.Days), maps.Clone(x.record.Months), slices.Clone(x.record.Loads)
	p.begun = begun{Window: load.Window, Replaces: load.Mode == Replace, At: load.At, File: p.next.newName("begun"), Load: load.ID}
	if load.Mode != Replace && len(ids.days) > 0 {
		sorted := slices.Sorted(maps.Keys(ids.days))
		p.begun.Window = Window{sorted[0], sorted[len(sorted)-1]}
		for _, facts := range ids.days {
			p.begun.At = max(p.begun.At, facts.newest)
		}
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := ids.finish(x.path(p.begun.File)); err != nil {
		return nil, fmt.Errorf("sort ids: %w", err)
	}
	if err := p.compare(); err != nil {
		return nil, fmt.Errorf("compare with earlier deliveries: %w", err)
	}
	if load.Mode == Replace && p.Rows*100 < p.Held*(100-load.MaxShrinkPercent) {
		return nil, fmt.Errorf("%w: %s holds %s of %s, this load %d: raise --max-shrink-percent if that is right", ErrRefused,
			x.record.Source, plural(p.Held, "id"), load.Window, p.Rows)
	}
	return p, nil
}

// check refuses a load that would count something twice, or that is older than an unfinished one.
func (p *Plan) check() error {
	x := p.index
	switch p.load.Mode {
	case Replace:
		for _, b := range x.record.Begun {
			if b.At > p.load.At && b.Window.overlaps(p.load.Window) {
				return fmt.Errorf("%w: a newer load of %s, exported %s, was begun and has not finished: run that one again first", ErrRefused, b.Window, text(b.At))
			}
		}
		for d := p.load.Window.From; d <= p.load.Window.To; d++ {
			if at := x.record.Days[d]; at > p.load.At {
				p.Newer[d] = at
			}
		}
	case First:
		const remedy = "add --replaces FROM..TO if this is the new content of these days, --append if it comes beside it"
		for _, d := range slices.Sorted(maps.Keys(p.days)) {
			if at, held := x.record.Days[d]; held && at != p.days[d].newest {
				return fmt.Errorf("%w: source %s has delivered %s before (exported %s): %s", ErrRefused, x.record.Source, d, text(at), remedy)
			}
		}
		for _, b := range x.record.Begun {
			if b.At != p.begun.At && b.Window.overlaps(p.begun.Window) {
				return fmt.Errorf("%w: another load of %s, exported %s, was begun and has not finished: run that one again, or %s", ErrRefused, b.Window, text(b.At), remedy)
			}
		}
	}
	return nil
}

// replaces reports whether the load is the whole content of a day.
func (p *Plan) replaces(d billing.Day) bool {
	_, newer := p.Newer[d]
	return p.load.Mode == Replace && p.load.Window.Contains(d) && !newer
}

// compare merges the index with the load, and writes the months that the load changes and the ids that it deletes.
func (p *Plan) compare() (err error) {
	x := p.index
	out := monthWriters{index: x, next: &p.next, touched: p.touched(), open: map[billing.Period]*idsWriter{}}
	defer out.abandon()
	deletes, err := createIDs(x.fs, p.deletes)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			deletes.abandon()
		}
	}()
	var names []string
	for _, m := range slices.Sorted(maps.Keys(x.record.Months)) {
		names = append(names, x.path(x.record.Months[m]))
	}
	for _, b := range x.record.Begun {
		names = append(names, x.path(b.File))
	}
	load := len(names)
	for group, err := range merge(x.fs, append(names, x.path(p.begun.File))) {
		if err != nil {
			return err
		}
		olds := group
		var now *Entry
		if last := &group[len(group)-1]; last.from == load {
			olds = group[:len(group)-1]
			if _, newer := p.Newer[last.Day]; !newer {
				now = &last.Entry
				p.Rows++
			}
		}
		keep := now
		if len(olds) > 0 {
			was := newest(olds)
			replaced := p.replaces(was.Day)
			if replaced {
				p.Held++
			}
			switch {
			case now != nil && now.At >= was.At:
			case now == nil && replaced && was.At <= p.load.At:
				p.Deleted++
				if err := deletes.add(&was.Entry); err != nil {
					return err
				}
			default:
				keep = &was.Entry
			}
		}
		if keep != nil {
			if err := out.add(keep); err != nil {
				return err
			}
		}
	}
	if err := deletes.close(false); err != nil {
		return err
	}
	return out.close()
}

// touched are the months that are written again: those that the load, or an
// unfinished one, may have changed. An id that left another month stays in that
// month's file, where its smaller At tells that it is the older one.
func (p *Plan) touched() map[billing.Period]bool {
	months := map[billing.Period]bool{}
	windows := []Window{p.begun.Window}
	for _, b := range p.index.record.Begun {
		windows = append(windows, b.Window)
	}
	for _, w := range windows {
		for d := w.From; d <= w.To; d++ {
			months[d.Month()] = true
		}
	}
	return months
}

// Begin durably records that the ids of the load may be in the topic from now on.
func (p *Plan) Begin() error {
	r := p.index.record
	r.Next = p.next.Next
	r.Begun = append(slices.Clone(r.Begun), p.begun)
	return p.index.write(r)
}

// Deletes returns the ids to delete, in ascending order.
func (p *Plan) Deletes() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for group, err := range merge(p.index.fs, []string{p.deletes}) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if !yield(group[0].Entry, nil) {
				return
			}
		}
	}
}

// Finish makes the load part of the index.
func (p *Plan) Finish() error {
	for _, b := range p.index.record.Begun {
		p.next.Loads = append(p.next.Loads, b.Load)
	}
	p.next.Loads = p.next.Loads[max(0, len(p.next.Loads)-keptLoads):]
	p.next.Begun, p.next.NextOffsets = nil, p.index.record.NextOffsets
	for d, facts := range p.days {
		if _, newer := p.Newer[d]; !newer {
			p.next.Days[d] = max(p.next.Days[d], facts.newest)
		}
	}
	if p.load.Mode == Replace {
		for d := p.load.Window.From; d <= p.load.Window.To; d++ {
			p.next.Days[d] = max(p.next.Days[d], p.load.At)
		}
	}
	return p.index.write(p.next)
}

// monthWriters write ascending entries to one file per usage month.
type monthWriters struct {
	index   *Index
	next    *record
	touched map[billing.Period]bool
	open    map[billing.Period]*idsWriter
}

// add writes an entry if its month is touched.
func (m *monthWriters) add(e *Entry) error {
	month := e.Day.Month()
	if !m.touched[month] {
		return nil
	}
	w := m.open[month]
	if w == nil {
		name := m.next.newName(string(month))
		var err error
		if w, err = createIDs(m.index.fs, m.index.path(name)); err != nil {
			return err
		}
		m.open[month] = w
		m.next.Months[month] = name
	}
	return w.add(e)
}

// close completes the files. A touched month without entries has no file.
func (m *monthWriters) close() error {
	for month := range m.touched {
		if m.open[month] == nil {
			delete(m.next.Months, month)
		}
	}
	for month, w := range m.open {
		delete(m.open, month)
		if err := w.close(true); err != nil {
			return fmt.Errorf("write ids of %s: %w", month, err)
		}
	}
	return nil
}

// abandon closes the files after an error.
func (m *monthWriters) abandon() {
	for _, w := range m.open {
		w.abandon()
		_ = m.index.fs.Remove(w.name)
	}
}

// text formats a time for messages.
func text(at billing.Instant) string { return at.Time().Format(time.RFC3339Nano) }

package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"daybook/internal/billing"
	"daybook/internal/extsort"
)

// cancelEvery is the number of records between checks of the context.
const cancelEvery = 1 << 12

// postings are the winners and the withheld records of a log, in the order of a release.
type postings struct {
	postings *extsort.Sorter
	// records is the number of records that were read; missing is the number of offsets without a record (transactions,
	// compaction).
	records, missing int64
}

// close removes the temporary files.
func (b *postings) close() error { return b.postings.Close() }

// collectPostings reads the records of a basis and selects those that count for the tenant with two sorts: by event and
// version, where the first accepted version of each event is its winner, and then by account-day.
func (a *Auditor) collectPostings(ctx context.Context, b *basis) (_ *postings, err error) {
	sorter := func() *extsort.Sorter {
		return extsort.NewSorter(extsort.Options{
			Memory: a.cfg.MemoryBytes / 2,
			Create: func() (extsort.File, error) { return extsort.TempFile(a.cfg.Temp) },
		})
	}
	versions := sorter()
	out := &postings{postings: sorter()}
	defer func() {
		err = errors.Join(err, versions.Close())
		if err != nil {
			err = errors.Join(err, out.close())
		}
	}()
	if err := a.readLog(ctx, b, versions, out); err != nil {
		return nil, err
	}
	var winner string // the event whose winner is known
	found := false
	n := 0
	for p, err := range versions.Sorted() {
		if err != nil {
			return nil, err
		}
		if n++; n%cancelEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if id := eventOf(p.Key); found && winner == string(id) {
			continue
		}
		e, err := parseEvent(p.Value)
		if err != nil {
			return nil, err
		}
		if e.fault == "" {
			winner, found = e.id, true
			if e.deleted {
				continue
			}
		}
		if err := out.post(b, e, p.Value); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// post adds an event or a withheld record to its account-day.
func (b *postings) post(of *basis, e *event, value []byte) error {
	if !of.covers(e.day) {
		return nil
	}
	return b.postings.Add(postingKey(nil, e), value)
}

// readLog reads and judges the records.
func (a *Auditor) readLog(ctx context.Context, b *basis, versions *extsort.Sorter, out *postings) error {
	type partition struct {
		topic billing.TopicOrdinal
		n     int32
	}
	spans := map[partition]*Span{}
	next := map[partition]int64{}
	total := int64(0)
	for i := range b.input.Spans {
		s := &b.input.Spans[i]
		spans[partition{s.Topic.Ordinal, s.Partition}] = s
		total += s.offsets()
	}
	j := b.judge()
	var key, value []byte
	for r, err := range a.deps.Read(ctx, b.input) {
		if err != nil {
			return err
		}
		p := partition{r.Source.Topic, r.Source.Partition}
		span := spans[p]
		if span == nil || span.skips(r.Source.Offset) {
			continue
		}
		if at, seen := next[p]; seen && r.Source.Offset < at {
			return fmt.Errorf("%s/%d: offset %d comes after %d", span.Topic.Name, span.Partition, r.Source.Offset, at-1)
		}
		next[p] = r.Source.Offset + 1
		if out.records++; out.records%cancelEvery == 0 {
			a.deps.Progress("records", out.records, total)
		}
		e := j.judge(r)
		if e.tenant != string(a.tenant) {
			continue
		}
		if e.fault != "" {
			place := billing.Source{Topic: r.Source.Topic, Partition: r.Source.Partition, Offset: r.Source.Offset}
			if !e.names() || b.settled[place] {
				continue
			}
		}
		value = appendEvent(value[:0], e)
		if e.id == "" { // no event can supersede it
			err = out.post(b, e, value)
		} else {
			key = versionKey(key[:0], e)
			err = versions.Add(key, value)
		}
		if err != nil {
			return err
		}
	}
	out.missing = total - out.records
	a.deps.Progress("records", out.records, out.records)
	return nil
}

// entry is a posting that is read back.
type entry struct {
	*event
	withheld bool
}

// entries returns the postings in ascending order of day, account and event. Withheld records are first in their
// account-day.
func (b *postings) entries() iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		for p, err := range b.postings.Sorted() {
			var e *event
			if err == nil {
				e, err = parseEvent(p.Value)
			}
			if err != nil {
				yield(entry{}, err)
				return
			}
			if !yield(entry{e, e.fault != ""}, nil) {
				return
			}
		}
	}
}

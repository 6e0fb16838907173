package delivery

import (
	"errors"
	"fmt"

	"daybook/internal/billing"
)

// Mark is what every record of a kept load says of it, as the text of a record
// header, so that an index can be made anew from the topic.
type Mark struct {
	Source   string          `json:"source"`
	Replaces *Window         `json:"replaces,omitempty"`
	At       billing.Instant `json:"exported_at_ns,omitempty"` // of a replacing load
}

// HeaderKey names the record header that holds a Mark as JSON.
const HeaderKey = "daybook-delivery"

// Rebuild makes the index of a source from the records of its topic: Add each in
// the order of its partition, then Finish. Loads that were begun and not
// finished count as finished: what of them is not in the topic is not held.
type Rebuild struct {
	index *Index
	ids   *Sorter
	next  record
}

// Rebuild begins anew; the index stays as it is until Finish.
func (x *Index) Rebuild() *Rebuild {
	r := &Rebuild{index: x, ids: x.Sorter(), next: x.record}
	r.next.Days, r.next.Months, r.next.Begun = map[billing.Day]billing.Instant{}, map[billing.Period]string{}, nil
	return r
}

// Add takes a record of a load: the event's entry, Deleted for a deletion.
func (r *Rebuild) Add(m Mark, e Entry) error {
	if w := m.Replaces; w != nil {
		for d := w.From; d <= w.To; d++ {
			r.next.Days[d] = max(r.next.Days[d], m.At)
		}
	}
	return r.ids.Add(e)
}

// Finish makes what was added the index, and says how many ids that is.
func (r *Rebuild) Finish() (held int64, err error) {
	x := r.index
	for d, facts := range r.ids.days {
		r.next.Days[d] = max(r.next.Days[d], facts.newest)
	}
	out := monthWriters{index: x, next: &r.next, touched: map[billing.Period]bool{}, open: map[billing.Period]*idsWriter{}}
	defer out.abandon()
	sorted := x.path(r.next.newName("rebuild"))
	if err := r.ids.finish(sorted); err != nil {
		return 0, fmt.Errorf("sort ids: %w", err)
	}
	for group, err := range merge([]string{sorted}) {
		if err == nil && !group[0].Deleted {
			held++
			out.touched[group[0].Day.Month()] = true
			err = out.add(&group[0].Entry)
		}
		if err != nil {
			return 0, fmt.Errorf("write ids: %w", err)
		}
	}
	if err := out.close(); err != nil {
		return 0, err
	}
	return held, errors.Join(x.write(r.next), x.sweep())
}

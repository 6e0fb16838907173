package delivery

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"

	"daybook/internal/billing"
)

// Mark is what every record of a kept load says of it, as the text of a record
// header, so that an index can be rebuilt from the topic, and that an index which
// does not know the load is noticed.
type Mark struct {
	Source   string          `json:"source"`
	Load     string          `json:"load"` // its id
	Replaces *Window         `json:"replaces,omitempty"`
	At       billing.Instant `json:"exported_at_ns,omitempty"` // of a replacing load
}

// HeaderKey names the record header that holds a Mark as JSON.
const HeaderKey = "daybook-delivery"

// NewLoadID returns an id that no other load has.
func NewLoadID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Rebuild makes the index of a source from the records of its topic: Add each in
// the order of its partition, then Finish. Loads that were begun and not
// finished count as finished: what of them is not in the topic is not held.
type Rebuild struct {
	index *Index
	ids   *Sorter
	next  record
}

// Rebuild starts from an empty index; the index on disk does not change before Finish.
func (x *Index) Rebuild() *Rebuild {
	r := &Rebuild{index: x, ids: x.Sorter(), next: x.record}
	r.next.Days, r.next.Months = map[billing.Day]billing.Instant{}, map[billing.Period]string{}
	r.next.Begun, r.next.Loads = nil, nil
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

// Finish makes what was added the index, and says how many ids that is. Added was
// every record of the source before the next offset of each partition.
func (r *Rebuild) Finish(next map[int32]int64) (held int64, err error) {
	x := r.index
	r.next.NextOffsets = maps.Clone(next)
	for d, facts := range r.ids.days {
		r.next.Days[d] = max(r.next.Days[d], facts.newest)
	}
	out := monthWriters{index: x, next: &r.next, touched: map[billing.Period]bool{}, open: map[billing.Period]*idsWriter{}}
	defer out.abandon()
	sorted := x.path(r.next.newName("rebuild"))
	if err := r.ids.finish(sorted); err != nil {
		return 0, fmt.Errorf("sort ids: %w", err)
	}
	for group, err := range merge(x.fs, []string{sorted}) {
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

package delivery

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"

	"daybook/internal/billing"
)

// Mark identifies the load of a record. Every record of a recorded load has it in a header, so that an index can be
// rebuilt from the topic, and that an index that does not know the load is detected.
type Mark struct {
	Source   string          `json:"source"`
	Load     string          `json:"load"` // its id
	Replaces *Window         `json:"replaces,omitempty"`
	At       billing.Instant `json:"exported_at_ns,omitempty"` // of a replacing load
}

// HeaderKey is the key of the record header with a Mark as JSON.
const HeaderKey = "daybook-delivery"

// NewLoadID returns a unique id.
func NewLoadID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Rebuild builds the index of a source from the records of its topic: call Add for each record in the order of its
// partition, then Finish. Interrupted loads count as finished: ids that are not in the topic do not count as delivered.
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

// Add adds a record of a load: the entry of the event, Deleted for a deletion.
func (r *Rebuild) Add(m Mark, e Entry) error {
	if w := m.Replaces; w != nil {
		for d := w.From; d <= w.To; d++ {
			r.next.Days[d] = max(r.next.Days[d], m.At)
		}
	}
	return r.ids.Add(e)
}

// Finish replaces the index by the added records and returns the number of ids. The added records must be all
// records of the source before the next offset of each partition.
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

package lake

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"daybook/internal/billing"
	"daybook/internal/parquet"
)

// groupNotesKey is the key in a footer's metadata under which the notes on the file's row groups are stored. Row groups
// are reused only from files that have it: a change of how events are encoded changes the number in it.
const groupNotesKey = "daybook.row_groups.2"

// groupNote states what is in a row group of a file of events. With it a later release can copy the row group byte for
// byte and still know its totals.
type groupNote struct {
	First   billing.AccountID `json:"first_account"`
	Last    billing.AccountID `json:"last_account"`
	Rows    int64             `json:"rows"`
	Sum     billing.Money     `json:"sum_usd"`
	Regions []string          `json:"regions,omitempty"`
	Pricing []string          `json:"pricing_models,omitempty"`
	Digest  string            `json:"digest"` // of its events, as File.Digest
}

// readGroupNotes reads the notes on a file's row groups, one for each; nil for a file without notes. ErrDamaged.
func readGroupNotes(file *parquet.File) ([]groupNote, error) {
	text, ok := file.Metadata(groupNotesKey)
	if !ok {
		return nil, nil
	}
	var notes []groupNote
	if err := json.Unmarshal([]byte(text), &notes); err != nil {
		return nil, fmt.Errorf("%w: notes on its row groups: %w", ErrDamaged, err)
	}
	if len(notes) != file.RowGroups() {
		return nil, fmt.Errorf("%w: it has %d row groups and notes on %d", ErrDamaged, file.RowGroups(), len(notes))
	}
	for i := range notes {
		if n := file.RowGroupRows(i); n != notes[i].Rows {
			return nil, fmt.Errorf("%w: row group %d has %d rows, its note states %d", ErrDamaged, i, n, notes[i].Rows)
		}
	}
	return notes, nil
}

// eventSummary adds up the events of a file or of a row group.
type eventSummary struct {
	sum     billing.Money
	digest  billing.Digest
	regions map[string]struct{}
	pricing map[string]struct{}
}

func newEventSummary() eventSummary {
	return eventSummary{regions: map[string]struct{}{}, pricing: map[string]struct{}{}}
}

// addEvent adds one event. A sum outside DECIMAL(38,18) is an error.
func (s *eventSummary) addEvent(cost billing.Money, digest billing.Digest) (err error) {
	s.digest = s.digest.Plus(digest)
	s.sum, err = addMoney(s.sum, cost)
	return err
}

// addDimensions adds the regions and the pricing models of events. Empty ones do not count.
func (s *eventSummary) addDimensions(regions, pricing []string) {
	for _, r := range regions {
		addValue(s.regions, r)
	}
	for _, p := range pricing {
		addValue(s.pricing, p)
	}
}

// addNote adds the events of a row group.
func (s *eventSummary) addNote(n *groupNote) error {
	digest, err := ParseDigest(n.Digest)
	if err != nil {
		return err
	}
	s.digest = s.digest.Plus(digest)
	s.addDimensions(n.Regions, n.Pricing)
	s.sum, err = addMoney(s.sum, n.Sum)
	return err
}

// note returns the note on a row group with these events.
func (s *eventSummary) note(first, last billing.AccountID, rows int64) groupNote {
	return groupNote{
		First: first, Last: last, Rows: rows, Sum: s.sum, Digest: hex.EncodeToString(s.digest[:]),
		Regions: slices.Sorted(maps.Keys(s.regions)), Pricing: slices.Sorted(maps.Keys(s.pricing)),
	}
}

// addValue adds a value that is not empty to a set.
func addValue(set map[string]struct{}, value string) {
	if value == "" {
		return
	}
	if _, ok := set[value]; !ok {
		set[strings.Clone(value)] = struct{}{}
	}
}

// ParseDigest reads a digest in the form that manifests have. ErrDamaged.
func ParseDigest(text string) (d billing.Digest, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(d) {
		return d, fmt.Errorf("digest %q: %w", text, ErrDamaged)
	}
	copy(d[:], b)
	return d, nil
}

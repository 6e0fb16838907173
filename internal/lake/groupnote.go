package lake

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"daybook/internal/billing"
)

// groupsKey is the member of a footer's metadata that holds the notes of a file's row groups. Groups
// are taken over only from files that have it: whoever changes how events are encoded changes its number.
const groupsKey = "daybook.row_groups.2"

// groupNote is what a file of events says of one of its row groups, so that a later release can take the
// group over as it is and still knows what is in it.
type groupNote struct {
	First   billing.AccountID `json:"first_account"`
	Last    billing.AccountID `json:"last_account"`
	Rows    int64             `json:"rows"`
	Sum     billing.Money     `json:"sum_usd"`
	Regions []string          `json:"regions,omitempty"`
	Pricing []string          `json:"pricing_models,omitempty"`
	Digest  string            `json:"digest"` // of its events, as File.Digest
}

// notesOf reads the notes of a file's row groups, one of each; nil where a file has none.
func notesOf(file *parquet.File) ([]groupNote, error) {
	text, ok := file.Lookup(groupsKey)
	if !ok {
		return nil, nil
	}
	var notes []groupNote
	if err := json.Unmarshal([]byte(text), &notes); err != nil {
		return nil, fmt.Errorf("%w: notes of its row groups: %w", ErrDamaged, err)
	}
	groups := file.RowGroups()
	if len(notes) != len(groups) {
		return nil, fmt.Errorf("%w: %d row groups, notes of %d", ErrDamaged, len(groups), len(notes))
	}
	for i := range notes {
		if n := groups[i].NumRows(); n != notes[i].Rows {
			return nil, fmt.Errorf("%w: row group %d has %d rows, its note says %d", ErrDamaged, i, n, notes[i].Rows)
		}
	}
	return notes, nil
}

// eventFacts are what a file, or a row group of it, says of its events.
type eventFacts struct {
	sum     billing.Money
	digest  billing.Digest
	regions map[string]struct{}
	pricing map[string]struct{}
}

func newEventFacts() eventFacts {
	return eventFacts{regions: map[string]struct{}{}, pricing: map[string]struct{}{}}
}

// add takes one event. A sum outside DECIMAL(38,18) is an error.
func (f *eventFacts) add(cost billing.Money, digest billing.Digest) error {
	f.digest = f.digest.Plus(digest)
	return f.addSum(cost)
}

// words takes the regions and the pricing models of events.
func (f *eventFacts) words(regions, pricing []string) {
	for _, r := range regions {
		note(f.regions, r)
	}
	for _, p := range pricing {
		note(f.pricing, p)
	}
}

// addNote takes the events of a row group.
func (f *eventFacts) addNote(n *groupNote) error {
	digest, err := ParseDigest(n.Digest)
	if err != nil {
		return err
	}
	f.digest = f.digest.Plus(digest)
	f.words(n.Regions, n.Pricing)
	return f.addSum(n.Sum)
}

func (f *eventFacts) addSum(m billing.Money) error {
	sum, ok := f.sum.Add(m)
	if !ok || !m.InRange() {
		return fmt.Errorf("the sum of the file leaves DECIMAL(38,18) at %s + %s", f.sum, m)
	}
	f.sum = sum
	return nil
}

// note completes a row group's note.
func (f *eventFacts) note(n groupNote) groupNote {
	n.Sum, n.Digest = f.sum, hex.EncodeToString(f.digest[:])
	n.Regions, n.Pricing = slices.Sorted(maps.Keys(f.regions)), slices.Sorted(maps.Keys(f.pricing))
	return n
}

// note adds a value that is not empty to a set.
func note(set map[string]struct{}, value string) {
	if value == "" {
		return
	}
	if _, ok := set[value]; !ok {
		set[strings.Clone(value)] = struct{}{}
	}
}

// ParseDigest reads a digest as manifests have it; ErrDamaged.
func ParseDigest(text string) (d billing.Digest, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(d) {
		return d, fmt.Errorf("digest %q: %w", text, ErrDamaged)
	}
	copy(d[:], b)
	return d, nil
}

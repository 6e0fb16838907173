package publish

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"daybook/internal/billing"
	"daybook/internal/lake"
)

// The values of --attributes for every attribute and for no attribute.
const (
	allAttributes = "all"
	noAttributes  = "none"
)

// Attributes selects which of the fields that Daybook does not model are published in the column attributes. The
// zero value selects all. It concerns releases only: topic and state keep every field.
type Attributes struct {
	none  bool
	names []string // published, ascending; empty: all, unless none
}

// UnmarshalText reads all, none, or names with commas between them.
func (a *Attributes) UnmarshalText(text []byte) error {
	switch s := string(text); s {
	case "", allAttributes:
		*a = Attributes{}
	case noAttributes:
		*a = Attributes{none: true}
	default:
		names := strings.Split(s, ",")
		slices.Sort(names)
		if slices.Contains(names, "") || slices.Contains(names, allAttributes) || slices.Contains(names, noAttributes) {
			return fmt.Errorf("attributes %q: want all, none, or names of fields with commas between them", s)
		}
		*a = Attributes{names: slices.Compact(names)}
	}
	return nil
}

// MarshalText is String.
func (a Attributes) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// String is the canonical form that UnmarshalText reads: equal for equal selections.
func (a Attributes) String() string {
	switch {
	case a.none:
		return noAttributes
	case len(a.names) > 0:
		return strings.Join(a.names, ",")
	}
	return allAttributes
}

// of returns the attributes of an event that are published: its object without the other fields, empty if none
// remains.
func (a Attributes) of(e *billing.Event) (string, error) {
	switch {
	case a.none || e.Attributes == "":
		return "", nil
	case len(a.names) == 0:
		return e.Attributes, nil
	}
	kept, err := a.pick(e.Attributes)
	if err != nil {
		return "", fmt.Errorf("attributes of event %q of account %q on %s: %w", e.ID, e.Account, e.Day, err)
	}
	return kept, nil
}

// pick returns an object with the selected members only. Their text is not changed.
func (a Attributes) pick(object string) (string, error) {
	d := jsontext.NewDecoder(strings.NewReader(object))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return "", errors.Join(errors.New("not an object"), err)
	}
	var kept []byte
	for d.PeekKind() == '"' {
		quoted, err := d.ReadValue()
		if err != nil {
			return "", err
		}
		name, err := jsontext.AppendUnquote(nil, quoted)
		if err != nil {
			return "", err
		}
		_, wanted := slices.BinarySearch(a.names, string(name))
		if wanted {
			kept = append(kept, ',')
			kept = append(kept, quoted...)
		}
		value, err := d.ReadValue()
		if err != nil {
			return "", err
		}
		if wanted {
			kept = append(kept, ':')
			kept = append(kept, value...)
		}
	}
	if _, err := d.ReadToken(); err != nil || len(kept) == 0 {
		return "", err
	}
	kept[0] = '{'
	return string(append(kept, '}')), nil
}

// attributesOf are the attributes that a release publishes.
func attributesOf(m *lake.Manifest) (a Attributes, err error) {
	if err := a.UnmarshalText([]byte(m.Attributes)); err != nil {
		return a, fmt.Errorf("manifest of release %d: %w: %w", m.Release, lake.ErrDamaged, err)
	}
	return a, nil
}

// checkAttributes refuses a run whose new files would have other attributes than the files that it links. So all
// files of a release have the same attributes, and a removed field is in none of them.
func (t *tenantRun) checkAttributes() error {
	released, err := attributesOf(t.prev)
	if err != nil || released.String() == t.cfg.Attributes.String() {
		return err
	}
	days := t.prev.Days
	if len(days) == 0 {
		return nil
	}
	from, to := days[0].Day, days[len(days)-1].Day
	if t.window.contains(from) && t.window.contains(to) {
		return nil
	}
	return fmt.Errorf("%w: release %d was published with --attributes %s, this run has %s: `publisher backfill --from %s --to %s --attributes %s` changes it in all files at once",
		ErrUsage, t.prev.Release, released, t.cfg.Attributes, from, to, t.cfg.Attributes)
}

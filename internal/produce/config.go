package produce

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"daybook/internal/billing"
)

// Policies for bad rows.
const (
	ReportBadRows BadRowPolicy = "report"
	PushBadRows   BadRowPolicy = "push"
)

// BadRowPolicy decides what happens to a row that cannot be mapped.
type BadRowPolicy string

// Config is the configuration of a load: what it reads and how rows become events. One struct serves flags, environment
// and YAML. The zero Config is valid for events, and for tables with a column that has the time of the export.
type Config struct {
	Format     Format            `help:"How the files are written: auto (by their beginning), jsonl, csv, cur (AWS Cost and Usage Report) or focus." default:"auto" placeholder:"FORMAT" group:"What is read:"`
	Map        map[string]string `help:"A field's column, as FIELD=COLUMN; before what the format says. attributes.NAME=COLUMN renames an attribute." mapsep:"none" placeholder:"FIELD=COLUMN" group:"What is read:"`
	EventID    []string          `name:"event-id" help:"Columns that together identify a charge, for files without a column that does. Rows in which they are equal are numbered by their content." placeholder:"COLUMN" group:"What is read:"`
	CostColumn string            `name:"cost-column" help:"Column of the cost, where it is not the format's usual one. Needs --tenant for cur and focus: another metric belongs in books of its own." placeholder:"COLUMN" group:"What is read:"`
	ExportedAt string            `name:"exported-at" help:"When the files were exported, RFC 3339 or a date: ingested_at of every row that has none. Of two exports the later wins, whichever is pushed first." placeholder:"TIME" group:"What is read:"`
	Tenant     string            `help:"Tenant of every row. A row of another is a bad row." env:"DAYBOOK_TENANT" placeholder:"NAME" group:"What is read:"`
	Delimiter  string            `help:"Character between columns; \\t for a tab." default:"," placeholder:"CHARACTER" group:"What is read:"`
	BadRows    BadRowPolicy      `name:"bad-rows" help:"A row that cannot be mapped: report (and exit 1 at the end) or push (its bytes as they are; ingest quarantines them)." default:"report" placeholder:"POLICY" group:"What is read:"`

	// snapshot sets ingested_at of every row to ExportedAt, whatever the row contains.
	snapshot bool
}

// Validate returns all faults in one error. now bounds --exported-at.
func (c *Config) Validate(now time.Time) error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	if c.Format != "" && !slices.Contains(formats, c.Format) {
		fault("--format: %q is not one of auto, jsonl, csv, cur, focus", string(c.Format))
	}
	if c.BadRows != "" && c.BadRows != ReportBadRows && c.BadRows != PushBadRows {
		fault("--bad-rows: %q is not one of report, push", string(c.BadRows))
	}
	for _, field := range slices.Sorted(maps.Keys(c.Map)) {
		name, isAttribute := strings.CutPrefix(field, attributePrefix)
		switch {
		case isAttribute && name != "" && !slices.Contains(eventFields, name):
		case isAttribute:
			fault("--map %s=%s: an attribute cannot be named %q", field, c.Map[field], name)
		case !slices.Contains(eventFields, field):
			fault("--map %s=%s: %s is not a field of an event: use one of %s, or %sNAME for an attribute", field, c.Map[field], field, strings.Join(eventFields, ", "), attributePrefix)
		}
		if c.Map[field] == "" {
			fault("--map %s=: names no column", field)
		}
	}
	if len(c.EventID) > 0 && c.Map[fieldEventID] != "" {
		fault("--event-id and --map event_id=%s contradict each other: give one", c.Map[fieldEventID])
	}
	if c.CostColumn != "" && c.Map[fieldCost] != "" {
		fault("--cost-column and --map cost_usd=%s contradict each other: give one", c.Map[fieldCost])
	}
	if c.ExportedAt != "" {
		if t, err := exportTime(c.ExportedAt); err != nil {
			fault("--exported-at: %w", err)
		} else if ahead := t.Sub(now); ahead > 24*time.Hour {
			fault("--exported-at: %s is more than a day ahead of this machine's clock: ingest would reject every row", c.ExportedAt)
		}
	}
	if c.Tenant != "" && !billing.TenantID(c.Tenant).Valid() {
		fault("--tenant: %q is not 1 to 64 of A-Z a-z 0-9 _ . - without a leading dot", c.Tenant)
	}
	if d := c.delimiter(); d == 0 || d == '"' || d == '\r' || d == '\n' || d == utf8.RuneError {
		fault("--delimiter: %q is not one character that may stand between columns", c.Delimiter)
	}
	return errors.Join(faults...)
}

// fits returns the faults that depend on the format.
func (c *Config) fits(format Format) error {
	var faults []error
	if format == JSONLines {
		for _, f := range []struct {
			flag  string
			given bool
		}{{"--map", len(c.Map) > 0}, {"--event-id", len(c.EventID) > 0}, {"--cost-column", c.CostColumn != ""}} {
			if f.given {
				faults = append(faults, fmt.Errorf("%s is for tables: JSON lines are events already", f.flag))
			}
		}
		return errors.Join(faults...)
	}
	if c.CostColumn != "" && c.Tenant == "" && format != CSV {
		faults = append(faults, fmt.Errorf("--cost-column %s needs --tenant: without it this cost would replace the usual cost of the events", c.CostColumn))
	}
	return errors.Join(faults...)
}

// maps reports whether --map names the column.
func (c *Config) maps(column string) bool {
	return slices.Contains(slices.Collect(maps.Values(c.Map)), column)
}

// delimiter returns the character between columns, or 0 if there is not exactly one.
func (c *Config) delimiter() rune {
	switch c.Delimiter {
	case "":
		return ','
	case `\t`:
		return '\t'
	}
	r, size := utf8.DecodeRuneInString(c.Delimiter)
	if size != len(c.Delimiter) {
		return 0
	}
	return r
}

// exportTime parses --exported-at.
func exportTime(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%q is neither RFC 3339 (2025-02-03T04:05:06Z) nor a date", text)
}

// joinFaults joins faults into one line.
func joinFaults(faults []error) error {
	texts := make([]string, len(faults))
	for i, f := range faults {
		texts[i] = f.Error()
	}
	return errors.New(strings.Join(texts, "; "))
}

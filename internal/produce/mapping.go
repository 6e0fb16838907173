package produce

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// The fields of an event (docs/events.md).
const (
	fieldEventID       = "event_id"
	fieldAccountID     = "account_id"
	fieldServiceName   = "service_name"
	fieldUsageDate     = "usage_date"
	fieldUsageStart    = "usage_start"
	fieldCost          = "cost_usd"
	fieldIngestedAt    = "ingested_at"
	fieldIngestionDate = "ingestion_date"
	fieldRevision      = "source_revision"
	fieldRegion        = "region"
	fieldPricingModel  = "pricing_model"
	fieldTenant        = "tenant_id"
	fieldCategory      = "charge_category"
	fieldPeriod        = "billing_period"
	fieldCurrency      = "currency"
	fieldOp            = "op"
)

// eventFields are all fields in the order in which they are written.
var eventFields = []string{
	fieldEventID, fieldTenant, fieldAccountID, fieldServiceName, fieldUsageDate, fieldUsageStart, fieldCost, fieldCurrency,
	fieldIngestedAt, fieldIngestionDate, fieldRevision, fieldRegion, fieldPricingModel, fieldCategory, fieldPeriod, fieldOp,
}

// attributePrefix marks a --map target as an attribute.
const attributePrefix = "attributes."

// value reads the text of one field from the cells of a row; empty means null. Its error concerns the row.
type value func(cells []string) (string, error)

// member is one member of the JSON object of an event.
type member struct {
	field string
	value value
	name  []byte // the quoted name with its colon
}

// mapping turns the rows of one table into events.
type mapping struct {
	id         value
	ordinals   *ordinals // nil unless the id is made of columns
	members    []member  // without event_id
	attributes []member
	dated      bool // a member has the export time of the row
}

// appendEvent appends the event of a row to dst and returns its id.
func (m *mapping) appendEvent(dst []byte, cells []string) (event []byte, id string, err error) {
	if id, err = m.id(cells); err != nil {
		return dst, "", err
	}
	if m.ordinals != nil {
		id = m.ordinals.number(id, cells)
	}
	dst = append(dst, '{')
	if id != "" {
		dst = append(dst, `"event_id":`...)
		if dst, err = jsontext.AppendQuote(dst, id); err != nil {
			return dst, "", fmt.Errorf("%w: event_id: %w", errBadRow, err)
		}
	}
	for _, group := range [2][]member{m.members, m.attributes} {
		for i := range group {
			f := &group[i]
			text, err := f.value(cells)
			if err != nil {
				return dst, "", err
			}
			// An empty currency is not USD. It is kept, and ingest rejects it.
			if text == "" && f.field != fieldCurrency {
				continue
			}
			if dst[len(dst)-1] != '{' {
				dst = append(dst, ',')
			}
			dst = append(dst, f.name...)
			if f.field == fieldRevision && isDigits(text) {
				dst = append(dst, text...)
				continue
			}
			if dst, err = jsontext.AppendQuote(dst, text); err != nil {
				return dst, "", fmt.Errorf("%w: %s: %w", errBadRow, f.field, err)
			}
		}
	}
	return append(dst, '}'), id, nil
}

// mapper builds the mapping of one table: the preset of the format has the source of each field, --map has
// precedence, and unused columns become attributes.
type mapper struct {
	header  *header
	config  *Config
	null    func(string) bool
	used    []bool
	mapping mapping
	faults  []error
}

// newMapper returns a mapper. null has the cells that are null besides empty ones.
func newMapper(h *header, c *Config, null func(string) bool) *mapper {
	return &mapper{header: h, config: c, null: null, used: make([]bool, len(h.names))}
}

// look returns the first of these columns that the file has; it remains an attribute too. nil if the file has none.
func (m *mapper) look(columns ...string) value {
	i := m.header.find(columns...)
	if i < 0 {
		return nil
	}
	return m.cell(i)
}

// take is like look, but the column is no attribute because the event has its whole text.
func (m *mapper) take(columns ...string) value {
	if i := m.header.find(columns...); i >= 0 {
		m.used[i] = true
	}
	return m.look(columns...)
}

// cell returns column i.
func (m *mapper) cell(i int) value {
	return func(cells []string) (string, error) {
		if m.null(cells[i]) {
			return "", nil
		}
		return cells[i], nil
	}
}

// field sets the source of a field: the column of --map, or else the preset. A nil preset omits the field.
func (m *mapper) field(name string, preset func() value) {
	var v value
	if column, mapped := m.config.Map[name]; mapped {
		if v = m.take(column); v == nil {
			m.fault("--map %s=%s: the file has no such column", name, column)
			return
		}
	} else if v = preset(); v == nil {
		return
	}
	switch name {
	case fieldEventID:
		m.mapping.id = v
		return
	case fieldTenant:
		if m.config.Tenant != "" {
			v = onlyTenant(v, m.config.Tenant)
		}
	case fieldIngestedAt, fieldIngestionDate:
		switch {
		case m.config.snapshot:
			v = m.config.exported(v)
		case m.config.ExportedAt != "":
			v = first(v, constant(m.config.ExportedAt))
		}
		m.mapping.dated = true
	}
	m.mapping.members = append(m.mapping.members, newMember(name, v))
}

// require notes a fault if none of the fields has a source.
func (m *mapper) require(fields ...string) {
	if !slices.ContainsFunc(fields, m.has) {
		m.fault("no column gives %s: add --map %s=COLUMN", strings.Join(fields, " or "), fields[0])
	}
}

// has reports whether a field has a source.
func (m *mapper) has(field string) bool {
	if field == fieldEventID {
		return m.mapping.id != nil
	}
	return slices.ContainsFunc(m.mapping.members, func(f member) bool { return f.field == field })
}

// columnsID returns the event id of the columns of --event-id.
func (m *mapper) columnsID() value {
	var parts []value
	for _, column := range m.config.EventID {
		v := m.look(column)
		if v == nil {
			m.fault("--event-id: the file has no column %q", column)
			continue
		}
		parts = append(parts, v)
	}
	return joinedID(parts)
}

// common sets the fields of every format: the tenant and the export time of the row.
func (m *mapper) common() {
	m.field(fieldTenant, func() value {
		if column := m.take(fieldTenant); column != nil || m.config.Tenant == "" {
			return column
		}
		return constant(m.config.Tenant)
	})
	m.field(fieldIngestionDate, func() value { return m.take(fieldIngestionDate) })
	m.field(fieldIngestedAt, func() value {
		if column := m.take(fieldIngestedAt); column != nil || m.config.ExportedAt == "" || m.mapping.dated {
			return column
		}
		return constant(m.config.ExportedAt)
	})
	if !m.mapping.dated {
		m.fault("nothing says when the rows were exported: add --exported-at TIME, or --map ingested_at=COLUMN")
	}
}

// finish adds the unused columns as attributes and returns the mapping, or all its faults.
func (m *mapper) finish() (*mapping, error) {
	renamed := map[int]string{}
	for target, column := range m.config.Map {
		name, isAttribute := strings.CutPrefix(target, attributePrefix)
		if !isAttribute {
			continue
		}
		if i := m.header.find(column); i >= 0 {
			renamed[i] = name
		} else {
			m.fault("--map %s=%s: the file has no such column", target, column)
		}
	}
	names := map[string]string{}
	for i, column := range m.header.names {
		name, isRenamed := renamed[i]
		if !isRenamed {
			if m.used[i] {
				continue
			}
			name = column
		}
		if slices.Contains(eventFields, name) {
			m.fault("column %q would be read as the field %s: say where it goes, --map %s=%s or --map %sNAME=%s", column, name, name, column, attributePrefix, column)
		}
		if other, taken := names[name]; taken {
			m.fault("columns %q and %q would both become the attribute %q: rename one by --map %sNAME=COLUMN", other, column, name, attributePrefix)
		}
		names[name] = column
		m.mapping.attributes = append(m.mapping.attributes, newMember(name, m.cell(i)))
	}
	if len(m.faults) > 0 {
		return nil, joinFaults(m.faults)
	}
	return &m.mapping, nil
}

// fault notes a fault of the header or the mapping.
func (m *mapper) fault(format string, args ...any) {
	m.faults = append(m.faults, fmt.Errorf(format, args...))
}

// newMember quotes the name once.
func newMember(name string, v value) member {
	quoted, _ := jsontext.AppendQuote(nil, name) // the header is UTF-8
	return member{field: name, value: v, name: append(quoted, ':')}
}

// constant is a value that is the same for each row.
func constant(text string) value {
	return func([]string) (string, error) { return text, nil }
}

// first returns the first value that is not null; nil if there are no values.
func first(values ...value) value {
	values = slices.DeleteFunc(values, func(v value) bool { return v == nil })
	if len(values) == 0 {
		return nil
	}
	return func(cells []string) (string, error) {
		for _, v := range values {
			if text, err := v(cells); text != "" || err != nil {
				return text, err
			}
		}
		return "", nil
	}
}

// onlyTenant returns the tenant of the row, or that of the load if the row has none, and refuses a row of another
// tenant.
func onlyTenant(v value, tenant string) value {
	return func(cells []string) (string, error) {
		text, err := v(cells)
		if err == nil && text != "" && text != tenant {
			return "", fmt.Errorf("%w: it is of tenant %q, not of --tenant %s", errBadRow, text, tenant)
		}
		return tenant, err
	}
}

// isDigits reports whether text is a JSON number without sign, fraction and exponent.
func isDigits(text string) bool {
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return text == "0" || (text != "" && text[0] != '0')
}

package produce

import "strings"

// mapTable returns the mapping of a table in the given format, or all faults of its header.
func mapTable(format Format, h *header, c *Config) (*mapping, error) {
	switch format {
	case CUR:
		return mapCUR(h, c)
	case FOCUS:
		return mapFOCUS(h, c)
	default:
		return mapCSV(h, c)
	}
}

// mapCSV maps a table by the names of its columns: a column with the name of a field is that field (event_id,
// account_id, service_name, usage_date, cost_usd, ingestion_date).
func mapCSV(h *header, c *Config) (*mapping, error) {
	m := newMapper(h, c, func(cell string) bool { return cell == "" })
	m.common()
	for _, name := range eventFields {
		switch {
		case name == fieldTenant, name == fieldIngestedAt, name == fieldIngestionDate: // in common
		case name == fieldEventID && len(c.EventID) > 0:
			m.field(name, m.columnsID)
		case name == fieldCost && c.CostColumn != "":
			m.field(name, m.costColumn)
		default:
			m.field(name, func() value { return m.take(name) })
		}
	}
	m.require(fieldEventID)
	if !m.has(fieldOp) { // a deletion needs no other fields
		m.require(fieldAccountID)
		m.require(fieldServiceName)
		m.require(fieldUsageDate, fieldUsageStart)
		m.require(fieldCost)
	}
	if !m.has(fieldCurrency) {
		m.refuseCurrency()
	}
	return m.finish()
}

// refuseCurrency notes a fault for columns that may hold another currency than USD: as attributes they would turn
// 30 NOK into 30 USD.
func (m *mapper) refuseCurrency() {
	for i, name := range m.header.names {
		if !m.used[i] && strings.Contains(strings.ToLower(name), "currency") && !m.config.maps(name) {
			m.fault("column %q may say that costs are not in USD: add --map currency=%s, or --map %s%s=%s to keep it as an attribute", name, name, attributePrefix, name, name)
		}
	}
}

// costColumn returns the column of --cost-column.
func (m *mapper) costColumn() value {
	v := m.take(m.config.CostColumn)
	if v == nil {
		m.fault("--cost-column: the file has no column %q", m.config.CostColumn)
	}
	return v
}

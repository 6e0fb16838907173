package delivery

import (
	"strings"

	"daybook/internal/billing"
)

// Entry is one event id that a source holds.
type Entry struct {
	key string // tenant, NUL, id: neither has a control character
	// Day is the event's usage date.
	Day billing.Day
	// At is the event's ingested_at: when the delivery was exported.
	At billing.Instant
	// Deleted marks an id that is no longer held; only a Rebuild has such.
	Deleted bool
}

// NewEntry makes an entry; it keeps neither string.
func NewEntry(t billing.TenantID, id billing.EventID, d billing.Day, at billing.Instant) Entry {
	return Entry{key: string(t) + "\x00" + string(id), Day: d, At: at}
}

// Tenant is the event's tenant.
func (e *Entry) Tenant() billing.TenantID {
	tenant, _, _ := strings.Cut(e.key, "\x00")
	return billing.TenantID(tenant)
}

// ID is the event's id.
func (e *Entry) ID() billing.EventID {
	_, id, _ := strings.Cut(e.key, "\x00")
	return billing.EventID(id)
}

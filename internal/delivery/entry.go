package delivery

import (
	"strings"

	"daybook/internal/billing"
)

// Entry is one event id that a source has delivered.
type Entry struct {
	key string // tenant, NUL, id: neither has a control character
	// Day is the event's usage date.
	Day billing.Day
	// At is the event's ingested_at: the time of the delivery's export.
	At billing.Instant
	// Deleted marks a deleted id. Only a Rebuild has such entries.
	Deleted bool
}

// NewEntry returns an entry. It does not retain the strings.
func NewEntry(t billing.TenantID, id billing.EventID, d billing.Day, at billing.Instant) Entry {
	return Entry{key: string(t) + "\x00" + string(id), Day: d, At: at}
}

// Tenant returns the tenant of the event.
func (e *Entry) Tenant() billing.TenantID {
	tenant, _, _ := strings.Cut(e.key, "\x00")
	return billing.TenantID(tenant)
}

// ID returns the id of the event.
func (e *Entry) ID() billing.EventID {
	_, id, _ := strings.Cut(e.key, "\x00")
	return billing.EventID(id)
}

package state

import (
	"encoding/binary"
	"fmt"
	"time"

	"daybook/internal/billing"
	"daybook/internal/dedup"
)

// Marker is an account-day with its last change. One stays for every
// account-day that was ever touched.
type Marker struct {
	AccountDay billing.AccountDay
	Sequence   Sequence
	ChangedAt  time.Time    // wall time of that write
	Changes    dedup.Change // all changes since the account-day was first seen
	// BySequence is the sequence of the last change of each kind, indexed by bit.
	BySequence [6]Sequence
}

// changeKinds is how many kinds of dedup.Change there are.
const changeKinds = 6

// A marker is stored as up to changeKinds rows, one a kind, so that marking
// an account-day never has to read.

func appendMarkerKey(b []byte, a billing.AccountDay, kind int) []byte {
	return append(appendAccountDayKey(b, spaceMarker, a), byte(kind))
}

func appendMarkerValue(b []byte, seq Sequence, at time.Time) []byte {
	b = binary.AppendUvarint(b, uint64(seq))
	return appendInstant(b, billing.Instant(at.UnixNano()))
}

// markerRow is one stored row.
type markerRow struct {
	tenant, account []byte
	day             billing.Day
	kind            int
	sequence        Sequence
	at              time.Time
}

func parseMarker(key, value []byte) (row markerRow, err error) {
	k, err := parseDayKey(key)
	if err != nil {
		return row, err
	}
	row.tenant, row.day = k.tenant, k.day
	if row.account, k.rest, err = keyString(k.rest); err != nil {
		return row, err
	}
	if len(k.rest) != 1 || k.rest[0] >= changeKinds {
		return row, fmt.Errorf("%w: marker key of an unknown kind", ErrDamaged)
	}
	row.kind = int(k.rest[0])
	f := fields{b: value}
	row.sequence = Sequence(f.uvarint())
	row.at = time.Unix(0, int64(f.instant())).UTC()
	return row, f.done("marker")
}

// add takes one more row of the marker's account-day.
func (m *Marker) add(row markerRow) {
	m.BySequence[row.kind] = row.sequence
	m.Changes |= 1 << row.kind
	if row.sequence > m.Sequence {
		m.Sequence, m.ChangedAt = row.sequence, row.at
	}
}

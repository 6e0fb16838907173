package format

import (
	"encoding/binary"
	"fmt"
	"time"

	"daybook/internal/billing"
	"daybook/internal/dedup"
)

// Marker says when, and how, an account-day last changed. Every account-day that ever changed keeps its marker.
type Marker struct {
	AccountDay billing.AccountDay
	Sequence   Sequence
	ChangedAt  time.Time    // wall time of that write
	Changes    dedup.Change // all kinds of change since the account-day was first seen
	// BySequence is the sequence of the last change of each kind, indexed by bit.
	BySequence [6]Sequence
}

// ChangeKinds is how many kinds of dedup.Change there are.
const ChangeKinds = 6

// A marker is stored as up to ChangeKinds rows, one for each kind of change, so that marking an account-day is a
// blind write.

// AppendMarkerKey appends the key of an account-day's row for the kind of change whose bit in dedup.Change is kind.
func AppendMarkerKey(b []byte, a billing.AccountDay, kind int) []byte {
	return append(AppendAccountDayPrefix(b, SpaceMarker, a), byte(kind))
}

// AppendMarkerValue appends when the change was written: sequence and wall time.
func AppendMarkerValue(b []byte, seq Sequence, at time.Time) []byte {
	b = binary.AppendUvarint(b, uint64(seq))
	return AppendInstant(b, billing.Instant(at.UnixNano()))
}

// MarkerRow is one stored row of a marker. Tenant and Account refer to its key.
type MarkerRow struct {
	Tenant, Account []byte
	Day             billing.Day
	Kind            int
	Sequence        Sequence
	At              time.Time
}

// ParseMarker reads a marker's row.
func ParseMarker(key, value []byte) (row MarkerRow, err error) {
	k, err := ParseDayKey(key)
	if err != nil {
		return row, err
	}
	row.Tenant, row.Day = k.Tenant, k.Day
	if row.Account, k.Rest, err = CutKeyString(k.Rest); err != nil {
		return row, err
	}
	if len(k.Rest) != 1 || k.Rest[0] >= ChangeKinds {
		return row, fmt.Errorf("%w: marker key has an unknown kind of change", ErrDamaged)
	}
	row.Kind = int(k.Rest[0])
	f := Decoder{Rest: value}
	row.Sequence = Sequence(f.Uvarint())
	row.At = time.Unix(0, int64(f.Instant())).UTC()
	return row, f.Done("marker")
}

// AddRow adds a row of the marker's account-day.
func (m *Marker) AddRow(row MarkerRow) {
	m.BySequence[row.Kind] = row.Sequence
	m.Changes |= 1 << row.Kind
	if row.Sequence > m.Sequence {
		m.Sequence, m.ChangedAt = row.Sequence, row.At
	}
}

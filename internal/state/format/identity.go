package format

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"daybook/internal/billing"
)

// Errors of reading keys and values.
var (
	ErrDamaged = errors.New("state is damaged") // bytes are not what was written; remedy: ingest rebuild
	ErrFormat  = errors.New("format version")   // written by another version of Daybook
)

// DatabaseID identifies a state. It never changes; a rebuilt state has another.
type DatabaseID string

// Digest is the digest of a journal entry. It depends on all entries before it.
type Digest [16]byte

// Sequence numbers atomic writes, contiguously from 1.
type Sequence uint64

// Topic is a Kafka topic that a state reads.
type Topic struct {
	Name    string               `json:"name"`
	ID      string               `json:"id,omitempty"` // Kafka's topic id, hex; empty where the broker has none
	Ordinal billing.TopicOrdinal `json:"ordinal"`
}

// Identity says which log a state is made from, and by which rules.
type Identity struct {
	Format     int           `json:"format"`
	Database   DatabaseID    `json:"database_id"`
	Cluster    string        `json:"cluster_id"`
	Topics     []Topic       `json:"topics"`
	Partitions string        `json:"partitions"` // always "all"
	Rules      billing.Rules `json:"rules"`
	CreatedAt  time.Time     `json:"created_at"`
}

// FormatVersion is the version of all keys and values that this program reads and writes.
const FormatVersion = 4

// AppendIdentityValue appends the identity's value.
func AppendIdentityValue(b []byte, id *Identity) ([]byte, error) {
	text, err := json.Marshal(id)
	if err != nil {
		return b, fmt.Errorf("write identity: %w", err)
	}
	return append(b, text...), nil
}

// ParseIdentity reads an identity. ErrFormat if another format version wrote it.
func ParseIdentity(value []byte) (id Identity, err error) {
	if err := json.Unmarshal(value, &id); err != nil {
		return id, fmt.Errorf("%w: unreadable identity: %w", ErrDamaged, err)
	}
	if id.Format != FormatVersion {
		return id, fmt.Errorf("%w: the state has format %d, this program reads %d; remedy: the version that wrote it, or a new state by ingest init and ingest run",
			ErrFormat, id.Format, FormatVersion)
	}
	return id, nil
}

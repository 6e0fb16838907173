// Package state keeps what was consumed: the winner of every event, which
// account-days changed, how far each Kafka partition was read, what was
// rejected, what an operator decided, and a journal that proves that nothing
// of it is missing. It is the only package that imports Pebble's database.
//
// One Store writes, through Apply, which is atomic and durable on return. A
// Reader reads a checkpoint, a stopped state or a snapshot of a live one.
package state

import (
	"errors"
	"iter"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"daybook/internal/billing"
	"daybook/internal/dedup"
)

// Errors of this package. All but ErrLocked mean: stop.
var (
	ErrNotFound = errors.New("no state here")        // Open of an empty or missing directory
	ErrExists   = errors.New("state exists already") // Create where a state is
	ErrLocked   = errors.New("state is locked")      // another process has it open
	ErrDamaged  = errors.New("state is damaged")     // a check failed; remedy: ingest rebuild
	ErrFormat   = errors.New("format version")       // written by another version of Daybook
	ErrPosition = errors.New("position mismatch")    // a batch that does not start at NextOffset
)

// DatabaseID names one state for good; a rebuilt state has another.
type DatabaseID string

// Digest is the digest of a journal entry, chained over all before it.
type Digest [16]byte

// Sequence numbers state changes: one per atomic write, contiguous from 1.
type Sequence uint64

// Topic is one topic of a state's identity.
type Topic struct {
	Name    string               `json:"name"`
	ID      string               `json:"id,omitempty"` // Kafka's topic id, hex; empty where the broker has none
	Ordinal billing.TopicOrdinal `json:"ordinal"`
}

// Identity is what a state is a state of.
type Identity struct {
	Format     int           `json:"format"`
	Database   DatabaseID    `json:"database_id"`
	Cluster    string        `json:"cluster_id"`
	Topics     []Topic       `json:"topics"`
	Partitions string        `json:"partitions"` // "all"; room for a state that owns some
	Rules      billing.Rules `json:"rules"`
	CreatedAt  time.Time     `json:"created_at"`
}

// Options opens a state. The zero value of a field means its default.
type Options struct {
	FS      vfs.FS // default vfs.Default
	Logger  *slog.Logger
	Now     func() time.Time
	Metrics prometheus.Registerer
	// Fatal is called when the storage has failed in a way after which no
	// write may be acknowledged. It must not return; default: log, exit 1.
	Fatal func(error)

	CacheBytes      int64
	MemTableBytes   uint64
	FilterBytes     int64 // bound of the membership filter in front of look-ups
	BulkRecords     int   // a batch of at least this many records is written as tables
	JournalFoldKeep int   // entries kept unfolded
}

// PartitionID is a Kafka partition of the state.
type PartitionID struct {
	Topic     billing.TopicOrdinal
	Partition int32
}

// Record is one delivered record with its verdict.
type Record struct {
	Event     billing.Event
	Rounded   bool
	Rejection *billing.Rejection // nil: Event is set
	Key       []byte             // kept when rejected
	Value     []byte             // kept when rejected
	Size      int                // bytes of the value
}

// Advance moves one partition's position over what a batch consumed of it.
type Advance struct {
	Partition   PartitionID
	FirstOffset int64 // where the partition's log began for this state; used on first sight only
	From, Next  int64 // [From, Next); From must equal the stored NextOffset
	LeaderEpoch int32
	Delivered   int64
	Control     int64
	Holes       int64
	// LastOffset and LastDigest (SHA-256, 16 bytes, of key, value and timestamp) of the last
	// record consumed; used to recognise a topic without an id.
	LastOffset int64
	LastDigest billing.Digest
	// Transactional or compacted: holes are explained.
	HolesExplained bool
}

// CaughtUp is evidence that a partition was read to an end listed at At.
type CaughtUp struct {
	Partition PartitionID
	At        time.Time
}

// Batch is one atomic write.
type Batch struct {
	Records  []Record // each in exactly one partition of Advances
	Advances []Advance
	CaughtUp []CaughtUp
}

// Applied is what a batch came to.
type Applied struct {
	Sequence Sequence
	Outcomes [billing.OutcomeCount]int64
	Reasons  map[billing.Reason]int64
	Rounded  int64
	Ties     int64
	Dirty    int // account-days touched
}

// Position is how far a partition was read, and what came of it.
type Position struct {
	Partition   PartitionID
	FirstOffset int64
	NextOffset  int64
	LeaderEpoch int32
	CaughtUpAt  time.Time // zero: never
	Delivered   int64
	Control     int64
	Holes       int64
	// HolesExplained is set once the topic was seen to be transactional or compacted.
	HolesExplained bool
	Outcomes       [billing.OutcomeCount]int64
	LastOffset     int64 // -1: none
	LastDigest     billing.Digest
}

// Head is the newest journal entry.
type Head struct {
	Sequence Sequence
	Digest   Digest
}

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

// QuarantineStatus says whether a quarantined record still withholds.
type QuarantineStatus string

// The statuses of a quarantined record.
const (
	QuarantineOpen       QuarantineStatus = "open"
	QuarantineSuperseded QuarantineStatus = "superseded" // a greater version of its event was accepted
	QuarantineResolved   QuarantineStatus = "resolved"   // an operator decided
)

// Quarantined is a record that could not be an event.
type Quarantined struct {
	Source    billing.Source
	Rejection billing.Rejection
	Status    QuarantineStatus
	Decision  uint64 // of a resolved one
	ArrivedAt time.Time
	Size      int
	Key       []byte
	Value     []byte // nil unless asked for; cut at 1 MiB (Size tells)
}

// DecisionKind is what an operator settled.
type DecisionKind string

// The kinds of decision.
const (
	GapAccepted       DecisionKind = "gap_accepted"
	QuarantineSettled DecisionKind = "quarantine_resolved"
	EmptyDayAllowed   DecisionKind = "empty_day_allowed"
	RulesLoosened     DecisionKind = "rules_loosened"
	DecisionsCarried  DecisionKind = "decisions_carried"
)

// Decision is what an operator settled, who, when and why.
type Decision struct {
	Number uint64           `json:"number"` // given by the store, from 1
	Kind   DecisionKind     `json:"kind"`
	Who    string           `json:"who"`
	When   time.Time        `json:"when"`
	Why    string           `json:"why"`
	Tenant billing.TenantID `json:"tenant,omitempty"`
	// FromDay and ToDay are the days that it touches, inclusive, as
	// YYYY-MM-DD; empty FromDay: no lower bound.
	FromDay string `json:"from_day,omitempty"`
	ToDay   string `json:"to_day,omitempty"`
	// Records are the quarantined records settled.
	Records []billing.Source `json:"records,omitempty"`
	// Gap of offsets accepted.
	Topic     billing.TopicOrdinal `json:"topic"`
	Partition int32                `json:"partition"`
	From      int64                `json:"from_offset,omitempty"`
	Next      int64                `json:"next_offset,omitempty"`
}

// Create makes a new state in dir, which must be empty or missing. It gives the identity its
// Format, Database and CreatedAt.
func Create(dir string, id Identity, o Options) error { panic("not built yet") }

// Store is the one writer of a state. Apply, Decide and the other writing
// methods may be called from any goroutine; they take turns.
type Store struct{}

// Open opens dir for writing: read-only first, checked, then for real.
func Open(dir string, o Options) (*Store, error) { panic("not built yet") }

// Close waits for a write in hand and closes the database.
func (s *Store) Close() error { panic("not built yet") }

// Apply writes a batch: all of it or nothing, synced. Its only error that may
// be retried is one returned before anything was written.
func (s *Store) Apply(b *Batch) (Applied, error) { panic("not built yet") }

// Decide writes a decision and its effects (resolved quarantine becomes dirty account-days; an accepted
// gap moves the position to Decision.Next) and returns its number.
func (s *Store) Decide(d Decision) (uint64, error) { panic("not built yet") }

// AddTopics appends topics to the identity.
func (s *Store) AddTopics(topics []Topic) error { panic("not built yet") }

// Retry judges all open quarantined records again by rules and, in one
// journalled write, applies those that judge accepts and adopts the rules.
// judge returns the record with its new verdict.
func (s *Store) Retry(rules billing.Rules, d Decision, judge func(q *Quarantined) Record) (Applied, error) {
	panic("not built yet")
}

// Checkpoint writes a durable copy of the state to dir, which must not exist,
// under the apply lock with the WAL flushed. The journal digest at its head is kept for good.
func (s *Store) Checkpoint(dir string) (Head, error) { panic("not built yet") }

// Covered tells the store up to where a tenant's newest release covers; for status and metrics alone.
func (s *Store) Covered(t billing.TenantID, seq Sequence) error { panic("not built yet") }

// Reader reads the store as of now. Close it.
func (s *Store) Reader() (*Reader, error) { panic("not built yet") }

// Health is nil while the storage takes writes; else what is wrong (a full disk, a write stall).
func (s *Store) Health() error { panic("not built yet") }

// Reader reads one consistent state. Safe for concurrent use. Close it.
type Reader struct{}

// OpenReader opens a checkpoint, or a state that no process has open, read-only and checked.
func OpenReader(dir string, o Options) (*Reader, error) { panic("not built yet") }

// Close releases the reader.
func (r *Reader) Close() error { panic("not built yet") }

// Identity is what the state is a state of.
func (r *Reader) Identity() Identity { panic("not built yet") }

// Head is the newest journal entry.
func (r *Reader) Head() Head { panic("not built yet") }

// DigestAt is the journal digest at a sequence, if the state still has it: it
// is kept for sequences at which a checkpoint was taken.
func (r *Reader) DigestAt(seq Sequence) (Digest, bool, error) { panic("not built yet") }

// Positions are all partitions, ascending.
func (r *Reader) Positions() ([]Position, error) { panic("not built yet") }

// Tenants are all tenants with an event, a marker or a quarantined record, ascending.
func (r *Reader) Tenants() ([]billing.TenantID, error) { panic("not built yet") }

// Markers are a tenant's account-days in [from, to], ascending by day and account.
func (r *Reader) Markers(t billing.TenantID, from, to billing.Day) iter.Seq2[Marker, error] {
	panic("not built yet")
}

// Covered is what Store.Covered was last told.
func (r *Reader) Covered(t billing.TenantID) (Sequence, error) { panic("not built yet") }

// Events are the winners of a tenant's day for accounts in [from, to), ascending by
// account and event id; an empty to means no upper bound. The event is valid until the next step.
func (r *Reader) Events(t billing.TenantID, d billing.Day, from, to billing.AccountID) iter.Seq2[*billing.Event, error] {
	panic("not built yet")
}

// Winner looks up one event.
func (r *Reader) Winner(t billing.TenantID, id billing.EventID) (dedup.Winner, bool, error) {
	panic("not built yet")
}

// Ties are the tied winners of a tenant's day.
func (r *Reader) Ties(t billing.TenantID, d billing.Day) iter.Seq2[billing.EventID, error] {
	panic("not built yet")
}

// Quarantine walks all quarantined records in log order. Values are read only if withValues.
func (r *Reader) Quarantine(withValues bool) iter.Seq2[*Quarantined, error] { panic("not built yet") }

// QuarantinedRecord is one of them, with its value.
func (r *Reader) QuarantinedRecord(src billing.Source) (*Quarantined, bool, error) {
	panic("not built yet")
}

// Withheld walks the open quarantined records of a tenant that name an account-day, ascending by
// day and account, without values.
func (r *Reader) Withheld(t billing.TenantID) iter.Seq2[*Quarantined, error] { panic("not built yet") }

// Decisions are all decisions, oldest first.
func (r *Reader) Decisions() ([]Decision, error) { panic("not built yet") }

// Fault is one thing that Check found wrong.
type Fault struct {
	What string
	Key  string
}

// Check verifies every invariant of the state: see docs/format.md. progress may be nil. It
// returns the faults found, and an error only where it could not look.
func (r *Reader) Check(progress func(done, total int64)) ([]Fault, error) { panic("not built yet") }

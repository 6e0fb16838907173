// Package oracle is the naive model that tests hold Daybook against: every
// record of the log in a slice, a map of winners, and big.Rat for money.
//
// It owns a second opinion on the event's rules, so it is written
// independently of decode, dedup, rollup and state: it imports billing's types
// alone, calls none of their arithmetic or ordering, and reads JSON with the
// standard library. It is slow and holds the whole log in memory; nothing that
// ships imports it. Not safe for concurrent use.
package oracle

import (
	"math/big"
	"sort"

	"daybook/internal/billing"
)

// Record is one record of the log, as a consumer sees it.
type Record struct {
	Topic     billing.TopicOrdinal
	Partition int32
	Offset    int64
	Timestamp int64 // milliseconds since the epoch, -1: none
	Value     []byte
	Null      bool // a tombstone
}

// EventKey identifies an event.
type EventKey struct {
	Tenant billing.TenantID
	ID     billing.EventID
}

// Event is one version of an event in the model's own terms.
type Event struct {
	Key          EventKey
	Deleted      bool
	Account      string
	Service      string
	Day          string // YYYY-MM-DD
	Cost         *big.Rat
	Rounded      bool
	Region       string
	PricingModel string
	Category     string
	Period       string
	Attributes   map[string]string // unmodelled members, values verbatim

	IngestedAt int64 // nanoseconds since the epoch
	Revision   int64
	From       Record
}

// Rejected is a record that is no event, with what could be read of it.
type Rejected struct {
	Why string // in words, not a name that Daybook publishes
	// Malformed is set where the bytes are no JSON object: how much of it is
	// readable all the same is decode's to say, not modelled.
	Malformed bool
	Tenant    string
	ID        string
	Account   string
	Day       string
	// IngestedAt and Revision place it in the order of versions.
	IngestedAt int64
	Revision   int64
	From       Record
	// Open until a greater version of the event it names is accepted.
	Open bool
}

// Cell is where events are added up. Service is empty in an account-day.
type Cell struct {
	Tenant  billing.TenantID
	Account string
	Day     string
	Service string
}

// Total is the total of a cell.
type Total struct {
	USD    *big.Rat
	Events int64
	// Withheld counts the open rejected records that name the account-day.
	Withheld int64
}

// Model is the whole log and the rules by which it is read.
type Model struct {
	rules   billing.Rules
	topics  []string // by ordinal
	records []Record
}

// New makes an empty model. topics are the topics' names by ordinal.
func New(rules billing.Rules, topics ...string) *Model {
	return &Model{rules: rules, topics: topics}
}

// Add takes a record. The same place in the log may be given again.
func (m *Model) Add(r Record) { m.records = append(m.records, r) }

// Tables are the totals of the log.
type Tables struct {
	Winners  map[EventKey]Event // deleted events too
	Rejected []Rejected         // in log order
	Ties     map[EventKey]bool  // winners that tie with another version of other money
	Accounts map[Cell]Total     // per account-day; also where only withheld records are
	Services map[Cell]Total     // per account, service and day
	Records  int64              // distinct places in the log
}

// Tables reads the whole log again.
func (m *Model) Tables() *Tables {
	b := &Tables{
		Winners:  map[EventKey]Event{},
		Ties:     map[EventKey]bool{},
		Accounts: map[Cell]Total{},
		Services: map[Cell]Total{},
	}
	versions := map[EventKey][]Event{}
	for _, r := range m.distinct() {
		b.Records++
		e, no := m.judge(r)
		if no != nil {
			b.Rejected = append(b.Rejected, *no)
			continue
		}
		versions[e.Key] = append(versions[e.Key], *e)
	}
	for key, all := range versions {
		sort.Slice(all, func(i, j int) bool { return older(all[i].order(), all[j].order()) })
		winner := all[len(all)-1]
		b.Winners[key] = winner
		for _, v := range all[:len(all)-1] {
			if v.IngestedAt == winner.IngestedAt && v.Revision == winner.Revision && !sameMoney(v, winner) {
				b.Ties[key] = true
			}
		}
	}
	b.addUp()
	b.withhold()
	return b
}

// distinct is the log in order, each place once.
func (m *Model) distinct() []Record {
	type place struct {
		topic     billing.TopicOrdinal
		partition int32
		offset    int64
	}
	seen := map[place]bool{}
	var log []Record
	for _, r := range m.records {
		p := place{r.Topic, r.Partition, r.Offset}
		if !seen[p] {
			seen[p] = true
			log = append(log, r)
		}
	}
	sort.Slice(log, func(i, j int) bool {
		a, b := log[i], log[j]
		if a.Topic != b.Topic {
			return a.Topic < b.Topic
		}
		if a.Partition != b.Partition {
			return a.Partition < b.Partition
		}
		return a.Offset < b.Offset
	})
	return log
}

func (b *Tables) addUp() {
	for _, e := range b.Winners {
		if e.Deleted {
			continue
		}
		day := Cell{Tenant: e.Key.Tenant, Account: e.Account, Day: e.Day}
		service := day
		service.Service = e.Service
		add(b.Accounts, day, e.Cost, 1, 0)
		add(b.Services, service, e.Cost, 1, 0)
	}
}

func (b *Tables) withhold() {
	for i := range b.Rejected {
		q := &b.Rejected[i]
		q.Open = true
		if q.Tenant != "" && q.ID != "" {
			w, ok := b.Winners[EventKey{billing.TenantID(q.Tenant), billing.EventID(q.ID)}]
			if ok && older(q.order(), w.order()) {
				q.Open = false
			}
		}
		if q.Open && q.Tenant != "" && q.Account != "" && q.Day != "" {
			cell := Cell{Tenant: billing.TenantID(q.Tenant), Account: q.Account, Day: q.Day}
			add(b.Accounts, cell, new(big.Rat), 0, 1)
		}
	}
}

func add(cells map[Cell]Total, c Cell, usd *big.Rat, events, withheld int64) {
	t, ok := cells[c]
	if !ok {
		t.USD = new(big.Rat)
	}
	t.USD = new(big.Rat).Add(t.USD, usd)
	t.Events += events
	t.Withheld += withheld
	cells[c] = t
}

// sameMoney says whether two versions count the same: a deleted one counts
// nothing, which is not the same as zero dollars.
func sameMoney(a, b Event) bool {
	if a.Deleted || b.Deleted {
		return a.Deleted == b.Deleted
	}
	return a.Cost.Cmp(b.Cost) == 0
}

// order is what decides between versions, most significant first.
func (e Event) order() [6]int64 {
	return placed(e.IngestedAt, e.Revision, e.From)
}

func (q Rejected) order() [6]int64 {
	return placed(q.IngestedAt, q.Revision, q.From)
}

func placed(ingestedAt, revision int64, r Record) [6]int64 {
	return [6]int64{ingestedAt, revision, r.Timestamp, int64(r.Topic), int64(r.Partition), r.Offset}
}

func older(a, b [6]int64) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

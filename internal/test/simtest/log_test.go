package simtest

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// The topics, with their partitions, and the tenants of every world.
var (
	topics  = []string{"billing", "late"}
	parts   = []int32{2, 1}
	tenants = []string{"default", "acme", "b"}
)

// message is what a producer sends.
type message struct {
	topic     int
	partition int32
	at        time.Time
	value     []byte // nil: a tombstone
}

// sender draws messages of which many are versions of one event: new ones,
// repetitions, corrections, moves to another account or day, deletes, revivals,
// late older versions, ties and broken records.
type sender struct {
	chance *rand.Rand
	sent   [][]byte
	events int
}

func (s *sender) message(now time.Time) message {
	m := message{topic: s.chance.IntN(len(topics)), at: now.Truncate(time.Millisecond)}
	m.partition = s.chance.Int32N(parts[m.topic])
	switch r := s.chance.IntN(100); {
	case r < 6 && len(s.sent) > 0: // the same bytes again, perhaps elsewhere
		m.value = s.sent[s.chance.IntN(len(s.sent))]
	case r < 10:
		id, tenant := s.known()
		m.value = fmt.Appendf(nil, `{"event_id":"e%d","op":"delete","ingested_at":%q%s}`, id, s.moment(now), tenant)
	case r < 16:
		m.value = s.broken(now)
	case r < 45:
		id, tenant := s.known()
		m.value = s.version(id, tenant, now)
	default:
		s.events++
		m.value = s.version(s.events, tenantOf(s.events), now)
	}
	s.sent = append(s.sent, m.value)
	return m
}

// known is an event that may have been sent, with its tenant's member.
func (s *sender) known() (id int, tenant string) {
	// Mostly a recent one: others are closed to further change, as in life.
	id = max(1, s.events-s.chance.IntN(1+s.chance.IntN(max(s.events, 1))))
	return id, tenantOf(id)
}

// tenantOf is an event's tenant as a member of its object, by its number.
func tenantOf(id int) string {
	if t := tenants[id%len(tenants)]; t != "default" {
		return fmt.Sprintf(`,"tenant_id":%q`, t)
	}
	return ""
}

// moment is when a version was ingested: few moments, so that versions tie.
func (s *sender) moment(now time.Time) string {
	return now.Truncate(time.Hour).Add(-time.Duration(s.chance.IntN(4)) * time.Hour).UTC().Format(time.RFC3339)
}

func (s *sender) day(now time.Time) string {
	return now.UTC().AddDate(0, 0, 1-s.chance.IntN(5)).Format(time.DateOnly)
}

func (s *sender) version(id int, tenant string, now time.Time) []byte {
	return fmt.Appendf(nil, `{"event_id":"e%d","account_id":"a%d","service_name":"s%d","usage_date":%q,"cost_usd":"%d.%09d","ingested_at":%q,"team":"t%d"%s}`,
		id, s.chance.IntN(4), s.chance.IntN(3), s.day(now), s.chance.IntN(1000), s.chance.IntN(1e9), s.moment(now), s.chance.IntN(3), tenant)
}

func (s *sender) broken(now time.Time) []byte {
	id, tenant := s.known()
	switch s.chance.IntN(5) {
	case 0:
		return nil
	case 1:
		return []byte(`{"event_id":"broken"`)
	case 2:
		return []byte(`[]`)
	case 3:
		return fmt.Appendf(nil, `{"event_id":"e%d","account_id":7,"service_name":"s","usage_date":%q,"cost_usd":"1"%s}`, id, s.day(now), tenant)
	}
	return fmt.Appendf(nil, `{"event_id":"e%d","account_id":"a1","service_name":"s","usage_date":%q,"cost_usd":"-1","ingested_at":%q%s}`,
		id, s.day(now), s.moment(now), tenant)
}

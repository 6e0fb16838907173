package pipeline

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"daybook/internal/billing"
	"daybook/internal/test/oracle"
)

// load makes records of which many are versions of one event: new ones,
// repetitions, corrections, moves to another account or day, deletes,
// revivals, late older versions and broken records.
type load struct {
	rng  *rand.Rand
	sent [][]byte
	next int
}

func newLoad(seed uint64) *load { return &load{rng: rand.New(rand.NewPCG(seed, 0))} }

// record is the next one.
func (l *load) record() []byte {
	var value []byte
	switch r := l.rng.IntN(100); {
	case r < 5 && len(l.sent) > 0: // the same bytes again
		value = l.sent[l.rng.IntN(len(l.sent))]
	case r < 8:
		value = fmt.Appendf(nil, `{"event_id":"e%d","op":"delete","ingested_at":%q}`, l.known(), l.moment())
	case r < 10: // broken
		value = []byte([]string{
			`{"event_id":"broken"`, `[]`,
			fmt.Sprintf(`{"event_id":"e%d","account_id":"a1","service_name":"s","usage_date":"2025-01-02","cost_usd":"-1"}`, l.known()),
			`{"event_id":"x","account_id":7,"service_name":"s","usage_date":"2025-01-02","cost_usd":"1"}`,
		}[l.rng.IntN(4)])
	case r < 30: // another version of an event
		value = l.version(l.known())
	default:
		l.next++
		value = l.version(l.next)
	}
	l.sent = append(l.sent, value)
	return value
}

// known is the number of an event that may have been sent.
func (l *load) known() int { return 1 + l.rng.IntN(max(l.next, 1)) }

// moment is when a version was ingested: few of them, so that versions tie.
func (l *load) moment() string {
	return time.Date(2025, 1, 10, l.rng.IntN(24), l.rng.IntN(3)*20, 0, 0, time.UTC).Format(time.RFC3339)
}

func (l *load) version(id int) []byte {
	return fmt.Appendf(nil, `{"event_id":"e%d","account_id":"acct-%02d","service_name":"svc-%d","usage_date":"2025-01-%02d","cost_usd":"%d.%09d","ingested_at":%q,"team":"t%d"}`,
		id, l.rng.IntN(20), l.rng.IntN(5), 1+l.rng.IntN(7), l.rng.IntN(1000), l.rng.IntN(1e9), l.moment(), l.rng.IntN(3))
}

// model is what the oracle makes of the topic.
func model(t *testing.T, brokers, topic string, records int) *oracle.Tables {
	t.Helper()
	m := oracle.New(billing.DefaultRules(), topic)
	for _, r := range readTopic(t, brokers, topic, records) {
		m.Add(r)
	}
	return m.Tables()
}

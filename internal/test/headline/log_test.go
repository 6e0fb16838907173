package headline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"daybook/internal/billing"
	"daybook/internal/test/oracle"
)

// message is what a producer sends.
type message struct {
	Partition int32
	Time      time.Time
	Value     string
	Null      bool
}

// week is when the messages of these tests are sent and what they bill.
var week = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// messages draws a log that a finance team would fear: few ids, so that
// versions collide; repetitions, ties, moves, deletes, revivals, broken
// records, and members that the model does not have.
func messages(partitions int32) *rapid.Generator[[]message] {
	return rapid.Custom(func(t *rapid.T) []message {
		sent := rapid.SliceOfN(one(partitions), 0, 60).Draw(t, "messages")
		// A producer that retries sends the same bytes again, later, perhaps elsewhere.
		for range rapid.IntRange(0, 10).Draw(t, "repetitions") {
			if len(sent) == 0 {
				break
			}
			again := sent[rapid.IntRange(0, len(sent)-1).Draw(t, "again")]
			again.Partition = rapid.Int32Range(0, partitions-1).Draw(t, "partition")
			at := rapid.IntRange(0, len(sent)).Draw(t, "at")
			sent = append(sent[:at], append([]message{again}, sent[at:]...)...)
		}
		return sent
	})
}

func one(partitions int32) *rapid.Generator[message] {
	return rapid.Custom(func(t *rapid.T) message {
		m := message{
			Partition: rapid.Int32Range(0, partitions-1).Draw(t, "partition"),
			Time:      week.Add(time.Duration(rapid.IntRange(0, 7*24).Draw(t, "hour")) * time.Hour),
		}
		switch rapid.IntRange(0, 19).Draw(t, "kind") {
		case 0:
			m.Null = true
		case 1:
			m.Value = rapid.SampledFrom([]string{
				``, `null`, `[]`, `{`, `{}`, `{"event_id":"e1"}x`, `{"event_id":"e1","event_id":"e1"}`, "\xff", `{"a":"\ud800"}`,
			}).Draw(t, "garbage")
		case 2, 3:
			members := body(t)
			broken := rapid.SampledFrom([][2]string{
				{"cost_usd", `"abc"`}, {"cost_usd", `-1.5`}, {"cost_usd", `1e20`}, {"account_id", `7`}, {"account_id", `""`},
				{"service_name", `null`}, {"usage_date", `"2025-02-30"`}, {"usage_date", `"2025-02-01"`}, {"currency", `"NOK"`},
				{"op", `"replace"`}, {"tenant_id", `".hidden"`}, {"event_id", `""`}, {"source_revision", `-1`},
				{"ingested_at", `"2025-03-01T00:00:00Z"`}, {"ingestion_date", `"2025-01-01"`}, {"ingestion_date", `"2024-12-31"`},
				{"usage_start", `"2025-01-01T23:30:00-01:00"`}, {"usage_start", `"2025-01-01T23:30:00+01:00"`}, {"source_revision", `1.5`},
				{"charge_category", `"Credit"`}, {"cost_usd", `"-0.25"`}, {"usage_start", `"2025-01-02T12:00:00"`}, {"ingested_at", `"yesterday"`}, {"charge_category", `"Gift"`},
			}).Draw(t, "broken")
			members[broken[0]] = broken[1]
			m.Value = encode(members)
		case 4, 5:
			m.Value = encode(version(t, map[string]string{"event_id": id(t), "op": `"delete"`}))
		default:
			m.Value = encode(body(t))
		}
		return m
	})
}

func id(t *rapid.T) string {
	return rapid.SampledFrom([]string{`"e1"`, `"e2"`, `"e3"`, `"e4"`, `"e5"`, `"e6"`, `"e|7"`, `"é8"`}).Draw(t, "id")
}

func body(t *rapid.T) map[string]string {
	day := rapid.IntRange(0, 4).Draw(t, "day")
	members := version(t, map[string]string{
		"event_id":     id(t),
		"account_id":   rapid.SampledFrom([]string{`"007"`, `"7"`, `"a|b"`}).Draw(t, "account"),
		"service_name": rapid.SampledFrom([]string{`"compute"`, `"storage"`}).Draw(t, "service"),
		"usage_date":   fmt.Sprintf("%q", week.AddDate(0, 0, day).Format(time.DateOnly)),
		"cost_usd": rapid.SampledFrom([]string{
			`0`, `1`, `"1.0"`, `0.1`, `0.2`, `10.50`, `1.81E-8`, `0.0000000000000000015`, `99999999999999.999999999999999999`,
		}).Draw(t, "cost"),
	})
	optional := func(name string, values ...string) {
		if v := rapid.SampledFrom(append([]string{""}, values...)).Draw(t, name); v != "" {
			members[name] = v
		}
	}
	optional("region", `null`, `"eu-north-1"`, `"us-east-1"`)
	optional("pricing_model", `"OnDemand"`)
	optional("charge_category", `"Usage"`, `"Tax"`)
	optional("tags", `{"team":"a", "n":[1.50,2]}`, `"x"`)
	return members
}

// version adds what orders versions; few values, so that ties happen.
func version(t *rapid.T, members map[string]string) map[string]string {
	if hour := rapid.IntRange(-1, 3).Draw(t, "ingested"); hour >= 0 {
		members["ingested_at"] = fmt.Sprintf("%q", week.Add(time.Duration(hour)*time.Hour).Format(time.RFC3339))
	}
	if n := rapid.IntRange(0, 2).Draw(t, "revision"); n > 0 {
		members["source_revision"] = []string{"1", "2.0"}[n-1]
	}
	if rapid.IntRange(0, 4).Draw(t, "tenant") == 0 {
		members["tenant_id"] = `"other"`
	}
	return members
}

// encode writes members in the order of their names, so that a seed always
// gives the same bytes.
func encode(members map[string]string) string {
	raw := make(map[string]json.RawMessage, len(members))
	for k, v := range members {
		raw[k] = json.RawMessage(v)
	}
	b, err := json.Marshal(raw)
	if err != nil {
		panic(fmt.Sprintf("members %v: %v", members, err))
	}
	return string(b)
}

// place puts messages into a log as a broker would: each partition in the
// order of sending.
func place(sent []message) []oracle.Record {
	next := map[int32]int64{}
	var log []oracle.Record
	for _, m := range sent {
		log = append(log, oracle.Record{
			Partition: m.Partition, Offset: next[m.Partition], Timestamp: m.Time.UnixMilli(), Value: []byte(m.Value), Null: m.Null,
		})
		next[m.Partition]++
	}
	slices.SortFunc(log, func(a, b oracle.Record) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	return log
}

func source(r oracle.Record) billing.Source {
	return billing.Source{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, RecordTime: r.Timestamp}
}

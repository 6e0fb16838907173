package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/billing"
	"daybook/internal/state"
	"daybook/internal/test/testkafka"
)

// nightmares are faults that may happen to a topic that ingest consumes.
// Each happens to kfake and, by `make test-kafka`, to an Apache Kafka.
var nightmares = []struct {
	name       string
	partitions int32
	happens    func(*world)
}{
	{"retention passes the next offset while down", 1, retentionWhileDown},
	{"retention passes the next offset while running", 1, retentionWhileRunning},
	{"first start on a trimmed log", 1, firstStartOnATrimmedLog},
	{"topic recreated while down", 1, recreatedWhileDown},
	{"topic recreated while running", 1, recreatedWhileRunning},
	{"topic deleted while running", 1, deletedWhileRunning},
	{"partitions added while down", 1, partitionsAddedWhileDown},
	{"partitions added while running", 1, partitionsAddedWhileRunning},
	{"one event in two partitions", 2, oneEventInTwoPartitions},
	{"transactions committed and aborted", 1, transactions},
	{"transaction left open", 1, transactionLeftOpen},
	{"compacted topic", 1, compactedTopic},
	{"unsafe topic settings", 1, unsafeTopicSettings},
	{"batch that decompresses to too much", 1, decompressionBomb},
	{"a million headers", 1, aMillionHeaders},
	{"records of every size", 1, recordsOfEverySize},
}

func TestNightmares(t *testing.T) {
	for _, n := range nightmares {
		t.Run(n.name, func(t *testing.T) { n.happens(newWorld(t, n.partitions)) })
	}
}

func TestKafkaNightmares(t *testing.T) {
	testkafka.Shared(t)
	for _, n := range nightmares {
		t.Run(n.name, func(t *testing.T) {
			t.Parallel() // most of each is waiting
			n.happens(newKafkaWorld(t, n.partitions))
		})
	}
}

// trim deletes the records of a partition before an offset.
func (w *world) trim(partition int32, offset int64) {
	w.t.Helper()
	offsets := kadm.Offsets{}
	offsets.AddOffset(w.topic, partition, offset, -1)
	r, err := w.admin().DeleteRecords(w.within(), offsets)
	if err = errors.Join(err, r.Error()); err != nil {
		w.t.Fatal(err)
	}
}

// remove deletes the topic.
func (w *world) remove() {
	w.t.Helper()
	r, err := w.admin().DeleteTopics(w.within(), w.topic)
	if err = errors.Join(err, r.Error()); err != nil {
		w.t.Fatal(err)
	}
}

// recreate deletes the topic and creates it again; the world's client is replaced too.
func (w *world) recreate(partitions int32) {
	w.t.Helper()
	w.remove()
	w.client = w.newClient(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	w.eventually("the name to be free", func() bool {
		r, err := w.admin().CreateTopic(w.within(), partitions, 1, nil, w.topic)
		return err == nil && r.Err == nil
	})
}

// partition makes the topic have so many partitions.
func (w *world) partition(n int) {
	w.t.Helper()
	r, err := w.admin().UpdatePartitions(w.within(), n, w.topic)
	if err = errors.Join(err, r.Error()); err != nil {
		w.t.Fatal(err)
	}
	// The brokers learn of it one after the other.
	w.eventually("the partitions", func() bool {
		topics, err := w.admin().ListTopics(w.within(), w.topic)
		return err == nil && len(topics[w.topic].Partitions) == n
	})
	w.client = w.newClient(kgo.RecordPartitioner(kgo.ManualPartitioner()))
}

// configure sets some of the topic's settings, given as name=value.
func (w *world) configure(settings ...string) {
	w.t.Helper()
	var all []kadm.AlterConfig
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		all = append(all, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value})
	}
	r, err := w.admin().AlterTopicConfigs(w.within(), all, w.topic)
	if err == nil {
		_, err = r.On(w.topic, func(r *kadm.AlterConfigsResponse) error { return r.Err })
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func retentionWhileDown(w *world) {
	w.init()
	w.push(0, events(0, 10)...)
	w.mustCatchUp()
	w.push(0, events(10, 10)...)
	w.trim(0, 15)
	err := w.catchUp(RunOptions{})
	mustStop(w.t, err, ErrLogTrimmed)
	if !strings.Contains(err.Error(), "offsets 10 to 14 are gone") {
		w.t.Errorf("%v does not name what is gone", err)
	}
	if err := w.catchUp(RunOptions{AcceptGap: true, Who: "clerk", Why: "told so"}); err != nil {
		w.t.Fatal(err)
	}
	equal(w.t, w.totals(), map[string]string{"a 2025-01-01": "15"})
	if p := w.positions()[0]; p.Gaps != 5 || p.Delivered != 15 || p.NextOffset != 20 {
		w.t.Errorf("position %+v, want a gap of 5 and 15 delivered", p)
	}
	w.read(func(r *state.Reader) {
		ds, err := r.Decisions()
		if err != nil || len(ds) != 1 || ds[0].Kind != state.GapAccepted || ds[0].From != 10 || ds[0].Next != 15 || ds[0].Who != "clerk" || ds[0].ToDay == "" {
			w.t.Errorf("decisions %+v %v", ds, err)
		}
	})
	w.mustCatchUp() // the gap is behind us
}

// An open transaction holds the reader back until the log is trimmed before it.
func retentionWhileRunning(w *world) {
	w.init()
	w.push(0, events(0, 2)...)
	g := w.open(RunOptions{})
	defer g.Close()
	end := w.transact(events(2, 3)...)
	w.push(0, events(5, 5)...)
	stopped := make(chan error, 1)
	go func() { stopped <- w.stops(g) }()
	w.reaches(g, 0, 2)
	w.trim(0, 8)
	mustStop(w.t, <-stopped, ErrLogTrimmed)
	end(kgo.TryAbort)
}

func firstStartOnATrimmedLog(w *world) {
	w.push(0, events(0, 10)...)
	w.trim(0, 4)
	w.init()
	mustStop(w.t, w.catchUp(RunOptions{}), ErrLogTrimmed)
	if err := w.catchUp(RunOptions{AcceptGap: true}); err != nil {
		w.t.Fatal(err)
	}
	equal(w.t, w.totals(), map[string]string{"a 2025-01-01": "6"})
	w.positions()
}

func recreatedWhileDown(w *world) {
	w.init()
	w.push(0, events(0, 3)...)
	w.mustCatchUp()
	w.recreate(1)
	w.push(0, events(3, 5)...) // as long as before and longer: offsets alone do not tell
	mustStop(w.t, w.catchUp(RunOptions{}), ErrTopicRecreated)
	mustStop(w.t, w.catchUp(RunOptions{AcceptGap: true}), ErrTopicRecreated)
	equal(w.t, w.totals(), map[string]string{"a 2025-01-01": "3"})
}

func recreatedWhileRunning(w *world) {
	w.init()
	w.push(0, events(0, 3)...)
	g := w.open(RunOptions{})
	stopped := make(chan error, 1)
	go func() { stopped <- w.stops(g) }()
	w.reaches(g, 0, 3)
	w.recreate(1)
	w.push(0, events(3, 5)...)
	mustStop(w.t, <-stopped, ErrTopicRecreated)
	if err := g.Close(); err != nil {
		w.t.Fatal(err)
	}
	equal(w.t, w.totals(), map[string]string{"a 2025-01-01": "3"})
}

// A topic that is gone may be one that comes back, as after a restored cluster: ingest waits and says so.
func deletedWhileRunning(w *world) {
	w.init()
	w.push(0, events(0, 3)...)
	g, stop := w.follow(RunOptions{})
	w.reaches(g, 0, 3)
	w.remove()
	w.eventually("not ready", func() bool {
		err := g.Ready()
		return err != nil && strings.Contains(err.Error(), "topic "+w.topic+" does not exist")
	})
	if err := stop(); err != nil {
		w.t.Fatal(err)
	}
	equal(w.t, w.totals(), map[string]string{"a 2025-01-01": "3"})
}

func partitionsAddedWhileDown(w *world) {
	w.init()
	w.push(0, events(0, 2)...)
	w.mustCatchUp()
	w.partition(3)
	w.push(2, events(2, 2)...)
	w.push(1, events(4, 1)...)
	w.mustCatchUp()
	equal(w.t, w.totals(), map[string]string{"a 2025-01-01": "5"})
	if n := len(w.positions()); n != 3 {
		w.t.Errorf("%d positions, want 3", n)
	}
}

func partitionsAddedWhileRunning(w *world) {
	w.init()
	g, stop := w.follow(RunOptions{})
	w.eventually("ready", func() bool { return g.Ready() == nil })
	w.partition(3)
	w.push(2, event("e1", "a", "2025-01-01", "1"), event("e2", "a", "2025-01-01", "2"))
	w.reaches(g, 2, 2)
	if err := stop(); err != nil {
		w.t.Fatal(err)
	}
	equal(w.t, w.totals(), map[string]string{"a 2025-01-01": "3"})
	if n := len(w.positions()); n != 3 {
		w.t.Errorf("%d positions, want 3", n)
	}
}

// Producers that place keys differently write one event to two partitions: the
// greater version wins, whichever is read first.
func oneEventInTwoPartitions(w *world) {
	w.init()
	newer := func(id, cost string) string {
		return strings.Replace(event(id, "a", "2025-01-01", cost), "2025-01-02T", "2025-01-05T", 1)
	}
	w.push(0, event("e1", "a", "2025-01-01", "10"), newer("e2", "30"))
	w.mustCatchUp()
	w.push(1, newer("e1", "20"), event("e2", "a", "2025-01-01", "99"))
	w.mustCatchUp()
	equal(w.t, w.totals(), map[string]string{"a 2025-01-01": "50"})
	w.mustRebuild()
}

// transact writes values to partition 0 in a transaction, and returns what ends it.
func (w *world) transact(values ...string) (end func(kgo.TransactionEndTry)) {
	w.t.Helper()
	id := fmt.Sprintf("%s-%d", w.topic, time.Now().UnixNano())
	cl := w.newClient(kgo.TransactionalID(id), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionTimeout(5*time.Minute))
	if err := cl.BeginTransaction(); err != nil {
		w.t.Fatal(err)
	}
	w.pushBy(cl, 0, values...)
	return func(how kgo.TransactionEndTry) {
		w.t.Helper()
		if err := cl.EndTransaction(w.within(), how); err != nil {
			w.t.Fatal(err)
		}
	}
}

func transactions(w *world) {
	w.init()
	w.push(0, events(0, 1)...)
	w.transact(events(1, 2)...)(kgo.TryCommit)
	w.transact(events(3, 4)...)(kgo.TryAbort)
	w.push(0, events(7, 1)...)
	w.transact(events(8, 1)...)(kgo.TryAbort)
	w.mustCatchUp()
	equal(w.t, w.totals(), map[string]string{"a 2025-01-01": "4"})
	p := w.positions()[0]
	if p.Delivered != 4 || p.Control != 3 || p.Holes != 5 || p.NextOffset != 12 || !p.HolesExplained {
		w.t.Errorf("position %+v, want 4 delivered, 3 control records, 5 holes explained, next 12", p)
	}
	w.mustRebuild()
}

func transactionLeftOpen(w *world) {
	w.init()
	w.push(0, events(0, 2)...)
	w.mustCatchUp()
	before := w.positions()[0].CaughtUpAt
	end := w.transact(events(2, 2)...)
	w.push(0, events(4, 1)...) // held back by the transaction

	err := w.catchUp(RunOptions{IdleTimeout: 2 * time.Second})
	mustStop(w.t, err, ErrBehind)
	if !strings.Contains(err.Error(), reasonOpenTransaction) {
		w.t.Errorf("%v does not name the transaction", err)
	}
	p := w.positions()[0]
	if p.NextOffset != 2 || !p.CaughtUpAt.Equal(before) {
		w.t.Errorf("position %+v, want offset 2, caught up at %v as before", p, before)
	}
	end(kgo.TryCommit)
	w.mustCatchUp()
	equal(w.t, w.totals(), map[string]string{"a 2025-01-01": "5"})
	w.positions()
}

// pushKeys pushes one event under each key, in batches of their own.
func (w *world) pushKeys(keys ...string) {
	w.t.Helper()
	for i, key := range keys {
		w.pushRecords(w.client, &kgo.Record{Key: []byte(key), Value: []byte(events(i, 1)[0])})
	}
}

// compact pushes a key, three copies of another, and two more, and has the copies
// compacted away: offsets 1 and 2 are a hole in the middle of the log.
func (w *world) compact() {
	w.t.Helper()
	settings := []string{"cleanup.policy=compact", "min.cleanable.dirty.ratio=0"}
	if w.broker != nil {
		w.configure(append(settings, "segment.bytes=1")...)
		w.pushKeys("k1", "k2", "k2", "k2", "k3", "k4")
		w.broker.Compact()
		return
	}
	w.configure(append(settings, "segment.ms=100", "min.compaction.lag.ms=0", "max.compaction.lag.ms=100")...)
	w.pushKeys("k1", "k2", "k2", "k2", "k3")
	time.Sleep(200 * time.Millisecond) // past segment.ms: the next record opens another segment
	w.pushRecords(w.client, &kgo.Record{Key: []byte("k4"), Value: []byte(events(5, 1)[0])})
	w.eventually("compaction", func() bool { return w.survivors() == 4 })
}

// survivors is the number of records that are left in partition 0.
func (w *world) survivors() (n int) {
	w.t.Helper()
	cl := w.newClient(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{w.topic: {0: kgo.NewOffset().AtStart()}}))
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), w.waits)
	defer cancel()
	for {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			w.t.Fatal(err)
		}
		last := false
		fetches.EachRecord(func(r *kgo.Record) {
			n++
			last = last || r.Offset == 5
		})
		if last {
			return n
		}
	}
}

func compactedTopic(w *world) {
	w.init()
	w.compact()
	w.mustCatchUp()
	p := w.positions()[0]
	if p.Holes != 2 || !p.HolesExplained || p.Delivered != 4 || p.NextOffset != 6 {
		w.t.Errorf("position %+v, want two holes, explained, and four records", p)
	}
	equal(w.t, w.totals(), map[string]string{"a 2025-01-01": "4"})
	if !w.log.has("unsafe topic setting", "cleanup.policy") {
		w.t.Error("compaction is not warned of")
	}
	w.mustRebuild()
}

func unsafeTopicSettings(w *world) {
	w.init()
	w.configure("retention.ms=86400000", "retention.bytes=1000000000", "message.timestamp.type=CreateTime")
	if w.broker == nil {
		w.configure("message.timestamp.after.max.ms=9223372036854775807")
	}
	w.mustCatchUp()
	for _, setting := range []string{"retention.ms", "retention.bytes", "message.timestamp.type"} {
		if !w.log.has("unsafe topic setting", "setting="+setting) {
			w.t.Errorf("no warning of %s", setting)
		}
	}
	w.log = &logged{}
	w.configure("retention.ms=-1", "retention.bytes=-1", "message.timestamp.type=LogAppendTime")
	w.mustCatchUp()
	if w.log.has("unsafe topic setting") {
		w.t.Error("a warning of settings that are well")
	}
	if w.log.has("cannot be read") {
		w.t.Error("the settings were not read")
	}
}

func decompressionBomb(w *world) {
	w.init()
	w.cfg.DecompressBytes = 1 << 16
	w.push(0, strings.Repeat("0", 1<<18))
	err := w.catchUp(RunOptions{})
	mustStop(w.t, err, ErrBatchTooLarge)
	if !strings.Contains(err.Error(), "offset 0") || !strings.Contains(err.Error(), "--decompress-bytes") {
		w.t.Errorf("%v names neither offset nor remedy", err)
	}
	w.cfg.DecompressBytes = DefaultTuning().DecompressBytes
	w.mustCatchUp()
	w.positions()
}

// large makes a client for batches that are small only when compressed.
func (w *world) large() *kgo.Client {
	return w.newClient(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.ZstdCompression()),
		kgo.ProducerBatchMaxBytes(64<<20), kgo.BrokerMaxWriteBytes(128<<20))
}

func aMillionHeaders(w *world) {
	w.init()
	r := &kgo.Record{Value: []byte(events(0, 1)[0]), Headers: make([]kgo.RecordHeader, 1_000_000)}
	for i := range r.Headers {
		r.Headers[i] = kgo.RecordHeader{Key: "h", Value: []byte("v")}
	}
	w.pushRecords(w.large(), r)
	w.push(0, events(1, 1)...)
	w.mustCatchUp()
	equal(w.t, w.totals(), map[string]string{"a 2025-01-01": "2"})
	w.positions()
}

// A record of 1 MiB is an event, one byte more is not, and 8 MiB do no harm.
func recordsOfEverySize(w *world) {
	w.init()
	sized := func(id string, size int) *kgo.Record {
		v := strings.TrimSuffix(event(id, "a", "2025-01-01", "1"), "}") + `,"note":"`
		return &kgo.Record{Value: []byte(v + strings.Repeat("x", size-len(v)-2) + `"}`)}
	}
	cl := w.large()
	for i, size := range []int{1 << 20, 1<<20 + 1, 8 << 20} {
		w.pushRecords(cl, sized(fmt.Sprintf("e%d", i), size))
	}
	w.mustCatchUp()
	equal(w.t, w.totals(), map[string]string{"a 2025-01-01": "1"})
	if p := w.positions()[0]; p.Delivered != 3 {
		w.t.Errorf("position %+v, want three delivered", p)
	}
	w.read(func(r *state.Reader) {
		n := 0
		for q, err := range r.Quarantine(false) {
			if err != nil {
				w.t.Fatal(err)
			}
			if q.Rejection.Reason == billing.RecordTooLarge {
				n++
			}
		}
		if n != 2 {
			w.t.Errorf("%d records quarantined, want two that are too large", n)
		}
	})
}

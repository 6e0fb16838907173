package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"daybook/internal/state"
)

// trim deletes the records of a partition before an offset.
func (w *world) trim(partition int32, offset int64) {
	w.t.Helper()
	offsets := kadm.Offsets{}
	offsets.AddOffset(testTopic, partition, offset, -1)
	r, err := w.admin().DeleteRecords(context.Background(), offsets)
	if err == nil {
		err = r.Error()
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// recreate deletes the topic and makes it anew; the world's client is replaced too.
func (w *world) recreate(partitions int32) {
	w.t.Helper()
	if _, err := w.admin().DeleteTopics(context.Background(), testTopic); err != nil {
		w.t.Fatal(err)
	}
	w.client = w.newClient(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	w.createTopic(testTopic, partitions)
}

// events are n different events of one account-day, of 1 USD each.
func events(from, n int) []string {
	var all []string
	for i := range n {
		all = append(all, event(fmt.Sprintf("e%d", from+i), "a", "2025-01-01", "1"))
	}
	return all
}

// mustStop fails unless err is a Stop for the cause.
func mustStop(t *testing.T, err, cause error) {
	t.Helper()
	if _, ok := errors.AsType[*Stop](err); !ok || !errors.Is(err, cause) {
		t.Errorf("got %v, want a stop: %v", err, cause)
	}
}

func TestRetentionPassesTheNextOffsetWhileDown(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	w.push(0, events(0, 10)...)
	w.mustCatchUp()
	w.push(0, events(10, 10)...)
	w.trim(0, 15)
	err := w.catchUp(RunOptions{})
	mustStop(t, err, ErrLogTrimmed)
	if !strings.Contains(err.Error(), "offsets 10 to 14 are gone") {
		t.Errorf("%v does not name what is gone", err)
	}
	if err := w.catchUp(RunOptions{AcceptGap: true, Who: "clerk", Why: "told so"}); err != nil {
		t.Fatal(err)
	}
	equal(t, w.totals(), map[string]string{"a 2025-01-01": "15"})
	w.read(func(r *state.Reader) {
		ds, err := r.Decisions()
		if err != nil || len(ds) != 1 || ds[0].Kind != state.GapAccepted || ds[0].From != 10 || ds[0].Next != 15 || ds[0].Who != "clerk" || ds[0].ToDay == "" {
			t.Errorf("decisions %+v %v", ds, err)
		}
	})
	w.mustCatchUp() // the gap is behind us
}

func TestRetentionPassesTheNextOffsetWhileRunning(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	w.push(0, events(0, 10)...)
	g := w.open(RunOptions{})
	defer g.Close()
	done := make(chan error, 1)
	// The fetches are held back until the log is trimmed.
	hold := make(chan struct{})
	w.broker.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		w.broker.SleepControl(func() { <-hold })
		return nil, nil, false
	})
	go func() { done <- g.Run(context.Background()) }()
	w.eventually("ready", func() bool { return g.Ready() == nil })
	w.trim(0, 5)
	close(hold)
	select {
	case err := <-done:
		mustStop(t, err, ErrLogTrimmed)
	case <-time.After(20 * time.Second):
		t.Fatal("ingest goes on as if nothing were missing")
	}
}

func TestFirstStartOnATrimmedLog(t *testing.T) {
	w := newWorld(t, 1)
	w.push(0, events(0, 10)...)
	w.trim(0, 4)
	w.init()
	mustStop(t, w.catchUp(RunOptions{}), ErrLogTrimmed)
	if err := w.catchUp(RunOptions{AcceptGap: true}); err != nil {
		t.Fatal(err)
	}
	equal(t, w.totals(), map[string]string{"a 2025-01-01": "6"})
}

func TestTopicRecreatedWhileDown(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	w.push(0, events(0, 3)...)
	w.mustCatchUp()
	w.recreate(1)
	w.push(0, events(3, 5)...) // as long as before and longer: offsets alone do not tell
	mustStop(t, w.catchUp(RunOptions{}), ErrTopicRecreated)
	mustStop(t, w.catchUp(RunOptions{AcceptGap: true}), ErrTopicRecreated)
}

func TestTopicRecreatedWhileRunning(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	w.push(0, events(0, 3)...)
	g := w.open(RunOptions{})
	defer g.Close()
	done := make(chan error, 1)
	go func() { done <- g.Run(context.Background()) }()
	w.eventually("three records", func() bool { n, _ := g.board.place(state.PartitionID{}); return n == 3 })
	w.recreate(1)
	w.push(0, events(3, 5)...)
	select {
	case err := <-done:
		mustStop(t, err, ErrTopicRecreated)
	case <-time.After(20 * time.Second):
		t.Fatal("ingest goes on with another topic")
	}
}

// Brokers before 2.8 have no topic ids: the last record tells.
func TestTopicRecreatedWithoutIDs(t *testing.T) {
	w := newWorld(t, 2, kfake.MaxVersions(kversion.V2_7_0()))
	if id := w.init(); id.Topics[0].ID != "" {
		t.Fatalf("the broker gave a topic id: %q", id.Topics[0].ID)
	}
	w.push(0, events(0, 3)...)
	w.mustCatchUp()
	w.mustCatchUp() // the same record is the same topic
	w.recreate(2)
	w.push(0, events(100, 5)...)
	mustStop(t, w.catchUp(RunOptions{}), ErrTopicRecreated)
}

func TestLogEndsBeforeTheNextOffset(t *testing.T) {
	w := newWorld(t, 1, kfake.MaxVersions(kversion.V2_7_0()))
	w.init()
	w.push(0, events(0, 5)...)
	w.mustCatchUp()
	w.recreate(1)
	w.push(0, events(0, 2)...)
	mustStop(t, w.catchUp(RunOptions{}), ErrLogTruncated)
	mustStop(t, w.catchUp(RunOptions{AcceptGap: true}), ErrLogTruncated)
}

func TestFewerPartitions(t *testing.T) {
	w := newWorld(t, 3, kfake.MaxVersions(kversion.V2_7_0()))
	w.init()
	w.mustCatchUp()
	w.recreate(2)
	mustStop(t, w.catchUp(RunOptions{}), ErrPartitionGone)
}

func TestAnotherCluster(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	w.mustCatchUp()
	other, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("other-cluster"), kfake.SeedTopics(1, testTopic))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	w.cfg.Kafka.Brokers = other.ListenAddrs()
	mustStop(t, w.catchUp(RunOptions{}), ErrOtherCluster)
}

// transact runs f in a transaction and leaves it as end says.
func (w *world) transact(id string, end func(*kgo.Client) error, values ...string) {
	w.t.Helper()
	cl := w.newClient(kgo.TransactionalID(id), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionTimeout(time.Minute))
	if err := cl.BeginTransaction(); err != nil {
		w.t.Fatal(err)
	}
	w.pushBy(cl, 0, values...)
	if end == nil {
		return
	}
	if err := end(cl); err != nil {
		w.t.Fatal(err)
	}
}

func commit(cl *kgo.Client) error { return cl.EndTransaction(context.Background(), kgo.TryCommit) }
func abort(cl *kgo.Client) error  { return cl.EndTransaction(context.Background(), kgo.TryAbort) }

func TestTransactionalTopic(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	w.push(0, events(0, 1)...)
	w.transact("t1", commit, events(1, 2)...)
	w.transact("t2", abort, events(3, 4)...)
	w.push(0, events(7, 1)...)
	w.transact("t3", abort, events(8, 1)...)
	w.mustCatchUp()
	equal(t, w.totals(), map[string]string{"a 2025-01-01": "4"})
	p := w.positions()[0]
	if p.Delivered != 4 || p.Control != 3 || p.Holes != 5 || p.NextOffset != 12 || !p.HolesExplained {
		t.Errorf("position %+v, want 4 delivered, 3 control records, 5 holes explained, next 12", p)
	}
}

func TestHangingTransactionIsNotCaughtUp(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	w.push(0, events(0, 2)...)
	w.mustCatchUp()
	before := w.positions()[0].CaughtUpAt
	w.transact("hangs", nil, events(2, 2)...)
	w.push(0, events(4, 1)...) // held back by the transaction

	err := w.catchUp(RunOptions{Patience: 300 * time.Millisecond})
	mustStop(t, err, ErrBehind)
	if !strings.Contains(err.Error(), reasonOpenTransaction) {
		t.Errorf("%v does not name the transaction", err)
	}
	p := w.positions()[0]
	if p.NextOffset != 2 || !p.CaughtUpAt.Equal(before) {
		t.Errorf("position %+v, want offset 2, caught up at %v as before", p, before)
	}
}

func TestBrokerAwayAndBack(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	g, stop := w.follow(RunOptions{})
	w.eventually("ready", func() bool { return g.Ready() == nil })
	var unplugged atomic.Bool
	unplugged.Store(true)
	w.broker.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		w.broker.KeepControl()
		if unplugged.Load() {
			return nil, errors.New("unplugged"), true
		}
		return nil, nil, false
	})
	w.eventually("not ready", func() bool { return g.Ready() != nil })
	unplugged.Store(false)
	w.push(0, events(0, 1)...)
	w.eventually("ready again", func() bool { return g.Ready() == nil })
	w.eventually("the record", func() bool { n, _ := g.board.place(state.PartitionID{}); return n == 1 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestAuthorisationLostAndGivenBack(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	w.push(0, events(0, 1)...)
	g, stop := w.follow(RunOptions{})
	w.eventually("one record", func() bool { n, _ := g.board.place(state.PartitionID{}); return n == 1 })
	var refused atomic.Bool
	refused.Store(true)
	w.broker.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		w.broker.KeepControl()
		if !refused.Load() {
			return nil, nil, false
		}
		r := req.(*kmsg.ListOffsetsRequest)
		resp := r.ResponseKind().(*kmsg.ListOffsetsResponse)
		resp.Version = r.Version
		for _, t := range r.Topics {
			rt := kmsg.NewListOffsetsResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewListOffsetsResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, kerr.TopicAuthorizationFailed.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	w.eventually("not ready", func() bool {
		err := g.Ready()
		return err != nil && strings.Contains(err.Error(), "not authorised for topic billing")
	})
	refused.Store(false)
	w.push(0, events(1, 1)...)
	w.eventually("ready again", func() bool { return g.Ready() == nil })
	w.eventually("the second record", func() bool { n, _ := g.board.place(state.PartitionID{}); return n == 2 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestBatchThatDecompressesToTooMuch(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	w.cfg.DecompressBytes = 1 << 16
	w.push(0, strings.Repeat("0", 1<<18))
	err := w.catchUp(RunOptions{})
	mustStop(t, err, ErrBatchTooLarge)
	if !strings.Contains(err.Error(), "offset 0") || !strings.Contains(err.Error(), "--decompress-bytes") {
		t.Errorf("%v names neither offset nor remedy", err)
	}
}

// configure sets one of the topic's settings.
func (w *world) configure(name, value string) {
	w.t.Helper()
	r, err := w.admin().AlterTopicConfigs(context.Background(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: name, Value: &value}}, testTopic)
	if err == nil {
		_, err = r.On(testTopic, func(r *kadm.AlterConfigsResponse) error { return r.Err })
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// compact pushes a key, three copies of another, and a third, and compacts the copies away:
// offsets 1 and 2 are a hole in the middle of the log.
func (w *world) compact() {
	w.t.Helper()
	w.configure("cleanup.policy", "compact")
	w.configure("segment.bytes", "1")
	w.configure("min.cleanable.dirty.ratio", "0")
	for i, key := range []string{"k1", "k2", "k2", "k2", "k3"} {
		r := &kgo.Record{Topic: testTopic, Key: []byte(key), Value: []byte(events(i, 1)[0])}
		if err := w.client.ProduceSync(context.Background(), r).FirstErr(); err != nil {
			w.t.Fatal(err)
		}
	}
	w.broker.Compact()
}

func TestCompactedTopicHasHolesThatAreExplained(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	w.compact()
	w.mustCatchUp()
	p := w.positions()[0]
	if p.Holes != 2 || !p.HolesExplained || p.Delivered != 3 || p.NextOffset != 5 {
		t.Errorf("position %+v, want two holes, explained, and three records", p)
	}
}

// A broker that skips offsets of a plain topic has lost records.
func TestHoleInAPlainTopic(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	w.compact()
	w.configure("cleanup.policy", "delete")
	mustStop(t, w.catchUp(RunOptions{}), ErrLogDamaged)
	if p := w.positions()[0]; p.NextOffset != 0 {
		t.Errorf("position %+v moved over the hole", p)
	}
}

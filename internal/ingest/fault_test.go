package ingest

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"daybook/internal/billing"
	"daybook/internal/state"
)

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
	other, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("other-cluster"), kfake.SeedTopics(1, w.topic))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	w.cfg.Kafka.Brokers = other.ListenAddrs()
	mustStop(t, w.catchUp(RunOptions{}), ErrOtherCluster)
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
	w.eventually("the record", func() bool { n, _ := g.tracker.place(state.PartitionID{}); return n == 1 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// A broker that skips offsets of a plain topic has lost records.
func TestHoleInAPlainTopic(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	w.compact()
	w.configure("cleanup.policy=delete")
	mustStop(t, w.catchUp(RunOptions{}), ErrLogDamaged)
	if p := w.positions()[0]; p.NextOffset != 0 {
		t.Errorf("position %+v moved over the hole", p)
	}
}

// batch is the one that begins at an offset of partition 0, as the broker keeps it.
func (w *world) batch(offset int64) []byte {
	w.t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.MinBytes, req.MaxBytes, req.MaxWaitMillis = 1, 1<<20, 1000
	topic := kmsg.NewFetchRequestTopic()
	topic.TopicID = w.broker.TopicInfo(w.topic).TopicID
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = offset, 1<<20, -1
	topic.Partitions = append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	resp, err := w.client.Broker(0).Request(w.within(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	b := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches
	return b[:12+binary.BigEndian.Uint32(b[8:])]
}

// serve has every fetch of partition 0 answered with these bytes.
func (w *world) serve(batches []byte, end int64) {
	w.broker.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		w.broker.KeepControl()
		r := req.(*kmsg.FetchRequest)
		resp := r.ResponseKind().(*kmsg.FetchResponse)
		resp.Version = r.Version
		for _, t := range r.Topics {
			rt := kmsg.NewFetchResponseTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			rp := kmsg.NewFetchResponseTopicPartition()
			rp.HighWatermark, rp.LastStableOffset, rp.RecordBatches = end, end, batches
			rt.Partitions = append(rt.Partitions, rp)
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
}

// Places in a record batch of format 2.
const (
	atMagic      = 16
	atCRC        = 17
	atAttributes = 21
	atCount      = 57
	atRecords    = 61
)

// sealed is the batch b, which begins with its length, with its sum made right.
func sealed(b []byte) []byte {
	binary.BigEndian.PutUint32(b[atCRC:], crc32.Checksum(b[atAttributes:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// A batch that cannot be read stops ingest: it is neither skipped nor asked for
// again and again, and what came before it is kept.
func TestBatchThatCannotBeRead(t *testing.T) {
	for name, damage := range map[string]func(b []byte) []byte{
		"a bit flipped":             func(b []byte) []byte { b[atRecords+10] ^= 1; return b },
		"sum wrong":                 func(b []byte) []byte { b[atCRC] ^= 1; return b },
		"unknown codec":             func(b []byte) []byte { b[atAttributes+1] |= 7; return sealed(b) },
		"not compressed as it says": func(b []byte) []byte { b[atAttributes+1] |= 4; return sealed(b) },
		"unknown format":            func(b []byte) []byte { b[atMagic] = 9; return b },
		"negative count":            func(b []byte) []byte { binary.BigEndian.PutUint32(b[atCount:], 1<<31); return sealed(b) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.init()
			plain := w.newClient(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
			w.pushBy(plain, 0, events(0, 2)...)
			w.pushBy(plain, 0, events(2, 2)...)
			w.serve(append(w.batch(0), damage(w.batch(2))...), 4)
			err := w.catchUp(RunOptions{})
			mustStop(t, err, ErrLogDamaged)
			if !strings.Contains(err.Error(), "offset 2") && !strings.Contains(err.Error(), "offset 0") {
				t.Errorf("%v does not name the place", err)
			}
			if p := w.positions()[0]; p.NextOffset > 2 {
				t.Errorf("position %+v is beyond the damaged batch", p)
			}
		})
	}
}

// TestEveryRetriableError answers each request of ingest's once with each error
// that a broker may give for a while. Nothing may be lost or counted twice.
func TestEveryRetriableError(t *testing.T) {
	var faults []*kerr.Error
	for code := int16(1); code < 200; code++ {
		err, ok := errors.AsType[*kerr.Error](kerr.ErrorForCode(code))
		if ok && err != kerr.UnknownServerError && err.Retriable {
			faults = append(faults, err)
		}
	}
	if len(faults) < 20 {
		t.Fatalf("%d errors", len(faults))
	}
	if testing.Short() {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		faults = faults[:4]
	}
	for _, key := range []kmsg.Key{kmsg.Metadata, kmsg.ListOffsets, kmsg.Fetch, kmsg.OffsetForLeaderEpoch, kmsg.FindCoordinator, kmsg.OffsetCommit, kmsg.DescribeConfigs} {
		t.Run(key.Name(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			w.soon = true
			w.init()
			for i, fault := range faults {
				w.push(0, events(i, 1)...)
				h := w.broker.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: fault, Count: 1})
				if err := w.catchUp(RunOptions{}); err != nil {
					t.Errorf("answered with %s: %v", fault.Message, err)
				}
				h.Remove()
			}
			if p := w.positions()[0]; p.Delivered != int64(len(faults)) || p.Outcomes[billing.New] != p.Delivered {
				t.Errorf("position %+v, want %d new events", p, len(faults))
			}
		})
	}
}

// An error that a broker gives for a while is waited for; one that it gives for ever is told.
func TestPartitionThatStandsStill(t *testing.T) {
	w := newWorld(t, 1)
	w.init()
	w.push(0, events(0, 1)...)
	g, stop := w.follow(RunOptions{})
	w.reaches(g, 0, 1)
	h := w.broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.KafkaStorageError, Count: -1})
	w.push(0, events(1, 1)...)
	w.eventually("a listing that shows the record", func() bool { return g.tracker.live().Partitions[0].EndOffset == 2 })
	w.eventually("ready", func() bool { return g.Ready() == nil })
	w.later.Store(int64(stallAfter))
	w.eventually("not ready", func() bool {
		err := g.Ready()
		return err != nil && strings.Contains(err.Error(), "partition 0 stands at offset 1 of 2")
	})
	h.Remove()
	w.reaches(g, 0, 2)
	w.eventually("ready again", func() bool { return g.Ready() == nil })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// A topic that was made a moment ago has no leaders yet.
func TestInitWaitsForLeaders(t *testing.T) {
	w := newWorld(t, 1)
	for _, err := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.LeaderNotAvailable} {
		w.broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Err: err, Count: 1})
	}
	w.init()
}

// Leaders move between brokers, and brokers come and go, under a running ingest.
func TestLeadersMove(t *testing.T) {
	w := newWorld(t, 3, kfake.NumBrokers(3))
	w.init()
	g, stop := w.follow(RunOptions{})
	n := 0
	push := func() {
		for p := range int32(3) {
			w.push(p, events(n, 5)...)
			n += 5
		}
	}
	for range 4 {
		push()
		w.broker.ShufflePartitionLeaders()
		push()
	}
	if _, _, err := w.broker.AddNode(3, 0); err != nil {
		t.Fatal(err)
	}
	for _, away := range []int32{0, 1} {
		push()
		if err := w.broker.RemoveNode(away); err != nil {
			t.Fatal(err)
		}
		push()
	}
	for p := range int32(3) {
		w.reaches(g, p, int64(n/3))
	}
	w.eventually("ready", func() bool { return g.Ready() == nil })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	equal(t, w.totals(), map[string]string{"a 2025-01-01": strconv.Itoa(n)})
	w.positions()
}

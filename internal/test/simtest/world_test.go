package simtest

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"daybook/internal/billing"
	"daybook/internal/clock"
	"daybook/internal/ingest"
	"daybook/internal/publish"
	"daybook/internal/state"
	"daybook/internal/test/oracle"
	"daybook/internal/test/rot"
)

// Ports of the virtual network.
const (
	brokerPort  = 1 // and the next
	controlPort = 3
)

// world is what outlives a machine: brokers, producers, the log as the model
// sees it, and what the programs have acknowledged.
type world struct {
	t        *testing.T
	seed     uint64
	chance   *rand.Rand // the main goroutine's
	net      *kfake.VirtualNetwork
	broker   *kfake.Cluster
	producer *kgo.Client
	sender   sender
	faults   []*kfake.FaultHandle
	tuning   ingest.Tuning
	options  state.Options

	mu struct {
		sync.Mutex
		skew     time.Duration      // of the machine's clock
		boots    uint64             // machines started so far
		looks    map[time.Time]look // by what the machine's clock showed a publisher, in microseconds
		log      []entry
		next     map[state.PartitionID]int64
		durable  map[state.PartitionID]int64 // next offsets that ingest called durable
		released map[billing.TenantID]int    // releases that publisher called published
		judged   map[string]bool             // releases that the model has judged
	}
	count counts

	// The newest modelTables: most judgements are of the same input.
	known struct {
		sync.Mutex
		next        map[state.PartitionID]int64
		modelTables *oracle.Tables
	}
}

// entry is one record of the log.
type entry struct {
	oracle.Record
	at time.Time // real time, when it was surely there
}

// look is one look of a publisher at its clock: when it was, and by how much the clock was ahead.
type look struct {
	at   time.Time
	skew time.Duration
}

// counts is what a world went through.
type counts struct{ crashes, records, releases, refusals, faults int }

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, seed: seed, chance: rand.New(rand.NewPCG(seed, 0)), net: &kfake.VirtualNetwork{}}
	w.sender.chance = rand.New(rand.NewPCG(seed, 1))
	w.mu.next = map[state.PartitionID]int64{}
	w.mu.durable = map[state.PartitionID]int64{}
	w.mu.released = map[billing.TenantID]int{}
	w.mu.judged = map[string]bool{}
	w.mu.looks = map[time.Time]look{}
	opts := []kfake.Opt{kfake.NumBrokers(2), kfake.Ports(brokerPort, brokerPort+1), kfake.ListenFn(w.net.Listen), kfake.ClusterID("simulated")}
	for i, name := range topics {
		opts = append(opts, kfake.SeedTopics(parts[i], name))
	}
	var err error
	if w.broker, err = kfake.NewCluster(opts...); err != nil {
		t.Fatal(err)
	}
	w.producer, err = kgo.NewClient(kgo.SeedBrokers(w.broker.ListenAddrs()...), kgo.Dialer(w.dial),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.DisableClientMetrics())
	if err != nil {
		t.Fatal(err)
	}
	w.tuning = ingest.DefaultTuning()
	w.tuning.Linger, w.tuning.WatermarkInterval = 20*time.Millisecond, 500*time.Millisecond
	w.tuning.BatchRecords = 1 + w.chance.IntN(40)
	w.options = state.Options{
		CacheBytes: 1 << 20, MemTableBytes: 64 << 10, FilterBytes: 1 << 10, GenerationEvents: 7, JournalFoldKeep: 1 + w.chance.IntN(20),
		BulkRecords: []int{3, 12, 1000}[w.chance.IntN(3)],
	}
	return w
}

// dial connects to a broker.
func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := w.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return delayed{conn}, nil
}

// delayed is a connection on which a fetch takes a moment, as on any network: a
// client that fetches again and again at once would stop fake time. Other
// requests do not: the client holds mutexes meanwhile, which stops it as well.
type delayed struct{ net.Conn }

// Write is net.Conn's. A request begins with its size, in four bytes, and its key.
func (d delayed) Write(b []byte) (int, error) {
	if len(b) > 6 && kmsg.Key(binary.BigEndian.Uint16(b[4:])) == kmsg.Fetch {
		time.Sleep(time.Millisecond)
	}
	return d.Conn.Write(b)
}

func (w *world) close() {
	w.producer.Close()
	w.broker.Close()
}

// now is the machine's clock.
func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.mu.skew)
}

// reading is both of the machine's clocks. Its uptime is real time; each machine is another start.
func (w *world) reading() clock.Reading {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := clock.Reading{Wall: time.Now().Add(w.mu.skew), Uptime: time.Since(started)}
	binary.BigEndian.PutUint64(r.Boot[:], w.mu.boots)
	return r
}

// started is before every machine's start: fake time begins in 2000.
var started = time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)

// publisherReading is reading by a publisher; what it decides by it is judged by this look at the clock.
func (w *world) publisherReading() clock.Reading {
	r := w.reading()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.looks[r.Wall.UTC().Truncate(time.Microsecond)] = look{at: time.Now(), skew: w.mu.skew}
	return r
}

// stepClock sets the machine's clock wrong, or right again: by up to an hour and a half, or ahead to a few minutes
// after the next cutoff, so that evidence of that clock would make a day complete that is not over.
func (w *world) stepClock() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.chance.IntN(3) {
	case 0:
		w.mu.skew = time.Duration(w.chance.IntN(7)-3) * time.Hour / 2
	case 1:
		cutoff := publish.DefaultConfig().Cutoff
		next := cutoff.Of(cutoff.LastDue(time.Now()) + 1)
		w.mu.skew = time.Until(next) + time.Duration(1+w.chance.IntN(300))*time.Second
	default:
		w.mu.skew = 0
	}
}

// fail ends the simulation.
func (w *world) fail(format string, args ...any) {
	w.t.Errorf("seed %d, after %d crashes: %s", w.seed, w.count.crashes, fmt.Sprintf(format, args...))
}

// produce sends a few messages and notes where they lie.
func (w *world) produce(n int) {
	for range n {
		m := w.sender.message(time.Now())
		r := &kgo.Record{Topic: topics[m.topic], Partition: m.partition, Timestamp: m.at, Value: m.value}
		if err := w.producer.ProduceSync(context.Background(), r).FirstErr(); err != nil {
			w.fail("produce: %v", err)
			return
		}
		now := time.Now()
		id := state.PartitionID{Topic: billing.TopicOrdinal(m.topic), Partition: m.partition}
		w.mu.Lock()
		w.mu.log = append(w.mu.log, entry{at: now, Record: oracle.Record{
			Topic: id.Topic, Partition: m.partition, Offset: r.Offset, Timestamp: m.at.UnixMilli(), Value: m.value, Null: m.value == nil,
		}})
		w.mu.next[id] = r.Offset + 1
		w.mu.Unlock()
		w.count.records++
	}
}

// Errors that brokers answer and clients are to try again after.
var transient = []*kerr.Error{
	kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.RequestTimedOut, kerr.KafkaStorageError,
	kerr.BrokerNotAvailable, kerr.CoordinatorNotAvailable, kerr.ReplicaNotAvailable, kerr.UnknownServerError,
}

// troubleBroker has the brokers misbehave a few times.
func (w *world) troubleBroker() {
	w.count.faults++
	keys := []kmsg.Key{kmsg.Fetch, kmsg.ListOffsets, kmsg.Metadata, kmsg.OffsetCommit, kmsg.OffsetForLeaderEpoch, kmsg.FindCoordinator}
	key := keys[w.chance.IntN(len(keys))]
	switch w.chance.IntN(4) {
	case 0:
		w.broker.ShufflePartitionLeaders()
	case 1: // hangs up
		w.broker.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
			return nil, fmt.Errorf("simulated disconnect"), true
		})
	default:
		errs := transient
		if key == kmsg.Metadata {
			errs = errs[:len(errs)-1] // which producers give up on
		}
		w.faults = append(w.faults, w.broker.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: errs[w.chance.IntN(len(errs))], Count: 1 + w.chance.IntN(3)}))
	}
}

// calm ends the brokers' trouble.
func (w *world) calm() {
	for _, f := range w.faults {
		f.Remove()
	}
	w.faults = nil
}

// modelTables are what the model says of the log up to the offsets in next, which it
// keeps. It waits until the log is noted that far.
func (w *world) modelTables(next map[state.PartitionID]int64) *oracle.Tables {
	for !w.noted(next) {
		time.Sleep(time.Millisecond)
	}
	w.known.Lock()
	defer w.known.Unlock()
	if w.known.modelTables != nil && maps.Equal(next, w.known.next) {
		return w.known.modelTables
	}
	m := oracle.New(billing.DefaultRules(), topics...)
	w.mu.Lock()
	log := slices.Clone(w.mu.log)
	w.mu.Unlock()
	for _, r := range log {
		if r.Offset < next[state.PartitionID{Topic: r.Topic, Partition: r.Partition}] {
			m.Add(r.Record)
		}
	}
	w.known.next, w.known.modelTables = next, m.Tables()
	return w.known.modelTables
}

// noted reports whether the log is noted up to next: the brokers have a record
// a moment before its producer knows where it lies.
func (w *world) noted(next map[state.PartitionID]int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, n := range next {
		if w.mu.next[id] < n {
			return false
		}
	}
	return true
}

// life lets so many machines crash, one after the other, over one disk, and
// then one that does not: it must reach the totals of the model.
func (w *world) life(crashes int) {
	mem := rot.NewCrashable()
	if err := w.create(newDisk(mem)); err != nil {
		w.fail("create state: %v", err)
		return
	}
	for w.count.crashes < crashes && !w.t.Failed() {
		mem = w.boot(mem).run()
		w.count.crashes++
		if w.chance.IntN(10) == 0 { // the machine stays off; days become due
			time.Sleep(time.Duration(w.chance.IntN(30)) * time.Hour)
			w.produce(w.chance.IntN(10))
		}
	}
	if !w.t.Failed() {
		w.converge(mem)
	}
}

// create makes the state.
func (w *world) create(d *machineDisk) error {
	m := &machine{world: w, disk: d}
	_, err := ingest.Init(context.Background(), m.config(), ingest.RulesConfig{}, m.ingestDeps())
	return err
}

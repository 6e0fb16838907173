package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/billing"
	"daybook/internal/clock"
	"daybook/internal/decode"
	"daybook/internal/disk"
	"daybook/internal/lake"
	"daybook/internal/sandbox"
	"daybook/internal/state"
	"daybook/internal/test/scripttest"
)

// topic is the one topic of a script's state.
const topic = "billing"

// arrived is when all records did.
var arrived = time.Date(2025, 1, 8, 12, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"publisher": main})
}

// TestScripts runs every script of testdata/script against the program.
func TestScripts(t *testing.T) {
	scripttest.Run(t, map[string]scripttest.Command{"feed": feed, "caughtup": caughtUp, "lock": lockState, "overstate": overstate, "broker": startBroker, "send": send, "trim": trim, "gateway": gateway, "pushed": pushed}, func(e *testscript.Env) error {
		e.Setenv("DAYBOOK_STATE", filepath.Join(e.WorkDir, "state"))
		e.Setenv("DAYBOOK_LAKE", filepath.Join(e.WorkDir, "lake"))
		return nil
	})
}

// open opens the script's state, which it makes if need be.
func open(ts *testscript.TestScript) *state.Store {
	dir := ts.Getenv("DAYBOOK_STATE")
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		ts.Check(state.Create(dir, state.Identity{
			Cluster: cmp.Or(ts.Getenv("CLUSTER"), "cluster"), Topics: []state.Topic{{Name: topic, ID: cmp.Or(ts.Getenv("TOPIC_ID"), "aa")}},
			Partitions: "all", Rules: billing.DefaultRules(),
		}, state.Options{}))
		store, err := state.Open(dir, state.Options{})
		ts.Check(err)
		_, err = store.Apply(&state.Batch{Advances: []state.Advance{{LastOffset: -1}}})
		ts.Check(err)
		return store
	}
	store, err := state.Open(dir, state.Options{})
	ts.Check(err)
	return store
}

// feed FILE has the state consume the file's lines as records that arrived on 2025-01-08.
func feed(ts *testscript.TestScript, _ bool, args []string) {
	store := open(ts)
	r, err := store.Reader()
	ts.Check(err)
	positions, err := r.Positions()
	ts.Check(err)
	ts.Check(r.Close())
	next := positions[0].NextOffset
	decoder := decode.New(store.Identity().Rules)
	b := &state.Batch{Advances: []state.Advance{{From: next}}}
	for line := range bytes.Lines([]byte(ts.ReadFile(args[0]))) {
		value := bytes.TrimSuffix(line, []byte("\n"))
		rec := state.Record{Size: len(value)}
		rec.Rounded, rec.Rejection = decoder.Decode(decode.Record{
			Topic: topic, Value: value,
			Source: billing.Source{Offset: next, RecordTime: arrived.UnixMilli()},
		}, &rec.Event)
		if rec.Rejection != nil {
			rec.Value = value
		}
		b.Add(rec)
		next++
	}
	a := &b.Advances[0]
	a.Next, a.Delivered, a.LastOffset = next, next-a.From, next-1
	_, err = store.Apply(b)
	ts.Check(errors.Join(err, store.Close()))
}

// caughtup TIME writes that the topic was read to its end at TIME.
func caughtUp(ts *testscript.TestScript, _ bool, args []string) {
	at, err := time.Parse(time.RFC3339, args[0])
	ts.Check(err)
	store := open(ts)
	_, err = store.Apply(&state.Batch{CaughtUp: []state.CaughtUp{state.NewCaughtUp(state.PartitionID{}, clock.At(func() time.Time { return at }))}})
	ts.Check(errors.Join(err, store.Close()))
}

// lock holds the state open until the script ends.
func lockState(ts *testscript.TestScript, _ bool, _ []string) {
	store := open(ts)
	ts.Defer(func() { ts.Check(store.Close()) })
}

// overstate DAY ACCOUNT USD publishes a copy of the newest release with so much more in an account-day and in its
// first service-day. All hashes are right.
func overstate(ts *testscript.TestScript, _ bool, args []string) {
	day, err := billing.ParseDay(args[0])
	ts.Check(err)
	account := billing.AccountID(args[1])
	var more billing.Money
	ts.Check(more.UnmarshalText([]byte(args[2])))
	series := lake.Open(ts.Getenv("DAYBOOK_LAKE"), disk.OS(), nil).Tenant(billing.DefaultTenant)
	unlock, err := series.Lock()
	ts.Check(err)
	defer func() { ts.Check(unlock()) }()
	m, err := series.Current()
	ts.Check(err)
	accounts, err := series.ReadAccountDays(m, day)
	ts.Check(err)
	services, err := series.ReadServiceDays(m, day)
	ts.Check(err)
	accountAt := slices.IndexFunc(accounts, func(r lake.AccountDayRow) bool { return r.Account == account })
	serviceAt := slices.IndexFunc(services, func(r lake.ServiceDayRow) bool { return r.Account == account })
	entryAt := slices.IndexFunc(m.Days, func(e lake.DayEntry) bool { return e.Day == day })
	for _, total := range []*billing.Money{&accounts[accountAt].Total, &services[serviceAt].Total, &m.Days[entryAt].Total} {
		*total, _ = total.Add(more)
	}

	build, err := series.Begin(m.Release+1, m)
	ts.Check(err)
	for _, f := range m.Files {
		if edited := f.IsOf(f.Dataset, day) && f.Dataset != lake.Events; f.Rows > 0 && !edited {
			ts.Check(build.Link(f))
		}
	}
	_, err = build.WriteAccountDays(day, accounts)
	ts.Check(err)
	_, err = build.WriteServiceDays(day, services)
	ts.Check(err)
	m.Previous, m.Changes = m.Release, lake.ChangeSummary{}
	ts.Check(build.Publish(m))
}

// broker starts a broker with the topic, before there is a state of it.
func startBroker(ts *testscript.TestScript, _ bool, _ []string) {
	b, err := sandbox.OpenBroker(sandbox.BrokerConfig{Topics: []sandbox.TopicSpec{{Name: topic, Partitions: 1}}}, slog.New(slog.DiscardHandler))
	ts.Check(err)
	ts.Defer(func() { ts.Check(b.Close()) })
	ts.Setenv("DAYBOOK_BROKERS", b.Addr())
	withClient(ts, func(ctx context.Context, cl *kgo.Client) error {
		meta, err := kadm.NewClient(cl).Metadata(ctx, topic)
		id := meta.Topics[topic].ID
		ts.Setenv("CLUSTER", meta.Cluster)
		ts.Setenv("TOPIC_ID", hex.EncodeToString(id[:]))
		return err
	})
}

// send FILE sends the file's lines to the topic, as feed has the state consume them.
func send(ts *testscript.TestScript, _ bool, args []string) {
	withClient(ts, func(ctx context.Context, cl *kgo.Client) error {
		var records []*kgo.Record
		for line := range bytes.Lines([]byte(ts.ReadFile(args[0]))) {
			records = append(records, &kgo.Record{Topic: topic, Timestamp: arrived, Value: bytes.TrimSuffix(line, []byte("\n"))})
		}
		return cl.ProduceSync(ctx, records...).FirstErr()
	})
}

// trim OFFSET has the broker forget what is before an offset.
func trim(ts *testscript.TestScript, _ bool, args []string) {
	at, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	withClient(ts, func(ctx context.Context, cl *kgo.Client) error {
		_, err := kadm.NewClient(cl).DeleteRecords(ctx, kadm.Offsets{topic: {0: {Topic: topic, At: at}}})
		return err
	})
}

// withClient lends a client of the script's broker.
func withClient(ts *testscript.TestScript, do func(context.Context, *kgo.Client) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(ts.Getenv("DAYBOOK_BROKERS")))
	ts.Check(err)
	defer cl.Close()
	ts.Check(do(ctx, cl))
}

package publish

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/billing"
	"daybook/internal/clock"
	"daybook/internal/decode"
	"daybook/internal/disk"
	"daybook/internal/lake"
	"daybook/internal/state"
	"daybook/internal/test/disktest"
	"daybook/internal/test/oracle"
)

// world is a state that a test writes to, a lake, a clock, and the log for the oracle.
type world struct {
	t        testing.TB
	stateFS  vfs.FS
	stateDir string
	store    *state.Store
	lake     *lake.Lake
	lakeRoot string
	now      time.Time
	setBack  time.Duration // by how much the clock was set back so far
	cfg      Config
	decoder  *decode.Decoder
	rules    billing.Rules
	next     []int64 // NextOffset by partition
	log      [][]oracle.Record
	made     int // states made so far
}

// topicName is the one topic of a world.
const topicName = "billing"

// newWorld makes an empty world in memory with one partition, on 2025-01-09
// at noon.
func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, disktest.Mem(vfs.NewMem()), "/lake")
}

func newWorldOn(t testing.TB, fs disk.FS, root string) *world {
	t.Helper()
	w := &world{
		t: t, stateFS: vfs.NewMem(), lakeRoot: root, rules: billing.DefaultRules(),
		now: at("2025-01-09T12:00:00Z"), cfg: DefaultConfig(),
	}
	w.lake = lake.Open(root, fs, w.clock)
	w.newState(1)
	t.Cleanup(func() { w.check(w.store.Close()) })
	return w
}

func (w *world) clock() time.Time { return w.now }

// booted is when the world's machine was started.
var booted = time.Date(2024, 12, 1, 0, 0, 0, 0, time.UTC)

// reading is both clocks of the world's machine.
func (w *world) reading() clock.Reading {
	return clock.Reading{Wall: w.now, Boot: clock.BootID{1}, Uptime: w.now.Add(w.setBack).Sub(booted)}
}

// setClockBack sets the wall clock back; the uptime is not changed.
func (w *world) setClockBack(d time.Duration) {
	w.now = w.now.Add(-d)
	w.setBack += d
}

// newState replaces the state by an empty state of the same log.
func (w *world) newState(partitions int) {
	w.t.Helper()
	if w.store != nil {
		w.check(w.store.Close())
	}
	w.made++
	w.stateDir = fmt.Sprintf("/state%d", w.made)
	id := state.Identity{Cluster: "cluster", Topics: []state.Topic{{Name: topicName, ID: "aa"}}, Partitions: "all", Rules: w.rules}
	w.check(state.Create(w.stateDir, id, w.options()))
	store, err := state.Open(w.stateDir, w.options())
	w.check(err)
	w.store = store
	w.decoder = decode.New(w.rules)
	w.next = make([]int64, partitions)
	for len(w.log) < partitions {
		w.log = append(w.log, nil)
	}
	for p := range partitions {
		_, err := w.store.Apply(&state.Batch{Advances: []state.Advance{{Partition: state.PartitionID{Partition: int32(p)}, LastOffset: -1}}})
		w.check(err)
	}
}

func (w *world) options() state.Options {
	return state.Options{FS: w.stateFS, Now: w.clock, Fatal: func(err error) { panic(err) }}
}

// push appends records to partition 0 and has the state read them in one write.
func (w *world) push(values ...string) { w.t.Helper(); w.pushTo(0, values...) }

func (w *world) pushTo(partition int, values ...string) {
	w.t.Helper()
	for _, v := range values {
		w.log[partition] = append(w.log[partition], oracle.Record{
			Partition: int32(partition), Offset: int64(len(w.log[partition])),
			Timestamp: w.now.UnixMilli(), Value: []byte(v),
		})
	}
	w.read(partition, len(values))
}

// read has the state consume the next n records of a partition in one write.
func (w *world) read(partition, n int) {
	w.t.Helper()
	from := w.next[partition]
	a := state.Advance{
		Partition: state.PartitionID{Partition: int32(partition)}, From: from, Next: from + int64(n),
		Delivered: int64(n), LastOffset: from + int64(n) - 1,
	}
	b := &state.Batch{}
	for _, r := range w.log[partition][from : from+int64(n)] {
		rec := state.Record{Size: len(r.Value)}
		rec.Rounded, rec.Rejection = w.decoder.Decode(decode.Record{
			Topic:  topicName,
			Source: billing.Source{Partition: int32(partition), Offset: r.Offset, RecordTime: r.Timestamp},
			Value:  r.Value,
		}, &rec.Event)
		if rec.Rejection != nil {
			rec.Value = r.Value
		}
		b.Add(rec)
	}
	b.Advances = []state.Advance{a}
	_, err := w.store.Apply(b)
	w.check(err)
	w.next[partition] += int64(n)
}

// caughtUp records that all partitions are read to their ends as of now.
func (w *world) caughtUp() {
	w.t.Helper()
	b := &state.Batch{}
	for p := range w.next {
		b.CaughtUp = append(b.CaughtUp, state.NewCaughtUp(state.PartitionID{Partition: int32(p)}, w.reading()))
	}
	_, err := w.store.Apply(b)
	w.check(err)
}

func (w *world) publisher() *Publisher {
	return New(w.cfg, Deps{
		Source: Store{Store: w.store, Dir: filepath.Join(w.stateDir, "checkpoints"), Options: w.options()},
		Lake:   w.lake, Now: w.clock, Clock: w.reading,
	})
}

// run publishes the default tenant, which must be the only tenant.
func (w *world) run() (TenantReport, error) {
	w.t.Helper()
	report, err := w.publisher().Run(context.Background())
	if len(report.Tenants) == 0 {
		return TenantReport{}, err
	}
	return report.Tenants[0], err
}

// publish runs and fails the test unless a release is made.
func (w *world) publish() TenantReport {
	w.t.Helper()
	r, err := w.run()
	w.check(err)
	if r.Outcome != Published {
		w.t.Fatalf("outcome %s, want %s", r.Outcome, Published)
	}
	return r
}

// nothing runs and fails the test unless there is nothing to do.
func (w *world) nothing() {
	w.t.Helper()
	r, err := w.run()
	w.check(err)
	if r.Outcome != NothingNew {
		w.t.Fatalf("outcome %s (%+v), want %s", r.Outcome, r.Rows, NothingNew)
	}
}

func (w *world) series() *lake.Series { return w.lake.Tenant(billing.DefaultTenant) }

func (w *world) current() *lake.Manifest {
	w.t.Helper()
	m, err := w.series().Current()
	w.check(err)
	if m == nil {
		w.t.Fatal("no release")
	}
	return m
}

// rows are the account-days of the newest release as text: "day account total".
func (w *world) rows() []string {
	w.t.Helper()
	m := w.current()
	var out []string
	for i := range m.Days {
		if m.Days[i].AccountDays == 0 {
			continue
		}
		rows, err := w.series().ReadAccountDays(m, m.Days[i].Day)
		w.check(err)
		for _, r := range rows {
			line := fmt.Sprintf("%s %s %s", m.Days[i].Day, r.Account, r.Total)
			if !r.Complete {
				line += " incomplete"
			}
			out = append(out, line)
		}
	}
	return out
}

// row is one released account-day; nil if there is none.
func (w *world) row(d, account string) *lake.AccountDayRow {
	w.t.Helper()
	m := w.current()
	rows, err := w.series().ReadAccountDays(m, day(d))
	w.check(err)
	for i := range rows {
		if rows[i].Account == billing.AccountID(account) {
			return &rows[i]
		}
	}
	return nil
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func day(text string) billing.Day {
	d, err := billing.ParseDay(text)
	if err != nil {
		panic(err)
	}
	return d
}

// event is a record's JSON: ingested at an hour of 2025-01-08.
func event(id, account, service, d, cost string, hour int) string {
	return fmt.Sprintf(`{"event_id":%q,"account_id":%q,"service_name":%q,"usage_date":%q,"cost_usd":%s,"ingested_at":"2025-01-08T%02d:00:00Z"}`,
		id, account, service, d, cost, hour)
}

// deletion is a record's JSON that deletes an event.
func deletion(id string, hour int) string {
	return fmt.Sprintf(`{"event_id":%q,"op":"delete","ingested_at":"2025-01-08T%02d:00:00Z"}`, id, hour)
}

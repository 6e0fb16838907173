package simtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"daybook/internal/billing"
	"daybook/internal/ingest"
	"daybook/internal/lake"
	"daybook/internal/publish"
	"daybook/internal/state"
	"daybook/internal/test/oracle"
	"daybook/internal/test/rot"
)

// judgeState opens the state as a crash left it: nothing durable is missing, it
// is sound in itself, and it is exactly what the model makes of the records consumed.
func (m *machine) judgeState() {
	r, err := state.OpenReader(stateDir, m.stateOptions())
	if err != nil {
		m.fail("open the state after a crash: %v", err)
		return
	}
	err = m.compareState(r)
	if err := errors.Join(err, r.Close()); err != nil {
		m.fail("state after a crash: %v", err)
	}
}

func (m *machine) compareState(r *state.Reader) error {
	faults, err := r.Check(nil)
	if err != nil {
		return err
	}
	for _, f := range faults {
		m.fail("check: %s %s", f.What, f.Key)
	}
	positions, err := r.Positions()
	if err != nil {
		return err
	}
	next := map[state.PartitionID]int64{}
	for _, p := range positions {
		next[p.Partition] = p.NextOffset
	}
	m.mu.Lock()
	durable := maps.Clone(m.mu.durable)
	m.mu.Unlock()
	for id, n := range durable {
		if next[id] < n {
			m.fail("partition %v is at offset %d, ingest called %d durable", id, next[id], n)
		}
	}
	modelTables := m.modelTables(next)
	want, have := map[string]string{}, map[string]string{}
	for key, e := range modelTables.Winners {
		line := "deleted"
		if !e.Deleted {
			line = fmt.Sprint(e.Day, " ", e.Account, " ", e.Service, " ", oracle.Text(e.Cost))
		}
		w, found, err := r.Winner(key.Tenant, key.ID)
		if err != nil {
			return err
		}
		src := w.Version.Source
		if !found || w.Deleted != e.Deleted || w.Tied != modelTables.Ties[key] || src.Topic != e.From.Topic || src.Partition != e.From.Partition || src.Offset != e.From.Offset {
			m.fail("winner of %v: found %t, %+v; the model says %s of %d/%d/%d", key, found, w, line, e.From.Topic, e.From.Partition, e.From.Offset)
		}
		if !e.Deleted {
			want[fmt.Sprint(key.Tenant, " ", key.ID)] = line
		}
	}
	for _, t := range tenants {
		first, last := span(modelTables)
		for d := first; d <= last; d++ {
			for e, err := range r.Events(billing.TenantID(t), d, "", "") {
				if err != nil {
					return err
				}
				have[fmt.Sprint(e.Tenant, " ", e.ID)] = fmt.Sprint(e.Day, " ", e.Account, " ", e.Service, " ", e.Cost)
			}
		}
	}
	m.same("state", have, want)
	wantHeld, haveHeld := map[string]string{}, map[string]string{}
	for _, q := range modelTables.Rejected {
		wantHeld[fmt.Sprint(q.From.Topic, "/", q.From.Partition, "/", q.From.Offset)] = fmt.Sprint(q.Open)
	}
	for q, err := range r.Quarantine(false) {
		if err != nil {
			return err
		}
		haveHeld[fmt.Sprint(q.Source.Topic, "/", q.Source.Partition, "/", q.Source.Offset)] = fmt.Sprint(q.Status == state.QuarantineOpen)
	}
	m.same("quarantine", haveHeld, wantHeld)
	return nil
}

// span is the first and the last day of the model; the last is before the first if it is empty.
func span(b *oracle.Tables) (first, last billing.Day) {
	first, last = 1<<30, -1<<30
	for c := range b.Accounts {
		if d, err := billing.ParseDay(c.Day); err == nil {
			first, last = min(first, d), max(last, d)
		}
	}
	return first, last
}

// same fails with the first differing lines of two tables.
func (m *machine) same(what string, have, want map[string]string) {
	if maps.Equal(have, want) {
		return
	}
	keys := maps.Clone(have)
	maps.Copy(keys, want)
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if have[k] != want[k] && len(lines) < 10 {
			lines = append(lines, fmt.Sprintf("%s: %q, the model says %q", k, have[k], want[k]))
		}
	}
	m.fail("%s differs:\n%s", what, strings.Join(lines, "\n"))
}

// judgeAcknowledged: a release that publisher called published is there after a crash.
func (m *machine) judgeAcknowledged() {
	m.mu.Lock()
	released := maps.Clone(m.mu.released)
	m.mu.Unlock()
	for t, n := range released {
		now, _, err := m.lake().Tenant(t).Resolve()
		if err != nil || now < n {
			m.fail("tenant %s: release %d was published, after the crash current is %d (%v)", t, n, now, err)
		}
	}
}

// judgeRelease reads a release from disk: whole, and exactly what the
// model makes of the input that its manifest names.
func (m *machine) judgeRelease(s *lake.Series, tenant string, n int) {
	manifest, err := s.Manifest(n)
	if err != nil {
		m.fail("manifest of release %d of %s: %v", n, tenant, err)
		return
	}
	if err := s.Verify(manifest, nil); err != nil {
		m.fail("verify release %d of %s: %v", n, tenant, err)
		return
	}
	next := map[state.PartitionID]int64{}
	for _, p := range manifest.Input {
		next[state.PartitionID{Topic: billing.TopicOrdinal(slices.Index(topics, p.Topic)), Partition: p.Partition}] = p.NextOffset
	}
	modelTables := m.modelTables(next)
	lastDue := publish.DefaultConfig().Cutoff.LastDue(manifest.AsOf)
	due := func(c oracle.Cell) bool { return string(c.Tenant) == tenant && c.Day <= lastDue.String() }
	have, want := map[string]string{}, map[string]string{}
	reasons := map[string][]string{}
	for i := range manifest.Days {
		entry := &manifest.Days[i]
		reasons[entry.Day.String()] = entry.Reasons
		m.judgeComplete(entry, next, manifest.AsOf)
		if err := releasedDay(s, manifest, entry, have); err != nil {
			m.fail("read release %d of %s: %v", n, tenant, err)
			return
		}
	}
	for c, sum := range modelTables.Accounts {
		if due(c) {
			want[c.Day+" "+c.Account] = fmt.Sprint(oracle.Text(sum.USD), " ", sum.Events, " ", sum.Withheld == 0 && len(reasons[c.Day]) == 0)
		}
	}
	for c, sum := range modelTables.Services {
		if due(c) {
			want[c.Day+" "+c.Account+" "+c.Service] = fmt.Sprint(oracle.Text(sum.USD), " ", sum.Events)
		}
	}
	for key, e := range modelTables.Winners {
		if string(key.Tenant) == tenant && !e.Deleted && e.Day <= lastDue.String() {
			want[string(key.ID)] = fmt.Sprint(e.Day, " ", e.Account, " ", e.Service, " ", oracle.Text(e.Cost))
		}
	}
	m.same(fmt.Sprintf("release %d of %s", n, tenant), have, want)
}

// releasedDay reads a day's account-days, service-days and events.
func releasedDay(s *lake.Series, manifest *lake.Manifest, entry *lake.DayEntry, have map[string]string) error {
	if entry.AccountDays == 0 {
		return nil
	}
	accounts, err := s.ReadAccountDays(manifest, entry.Day)
	if err != nil {
		return err
	}
	for _, r := range accounts {
		have[entry.Day.String()+" "+string(r.Account)] = fmt.Sprint(r.Total, " ", r.Events, " ", r.Complete)
	}
	services, err := s.ReadServiceDays(manifest, entry.Day)
	if err != nil {
		return err
	}
	for _, r := range services {
		have[entry.Day.String()+" "+string(r.Account)+" "+string(r.Service)] = fmt.Sprint(r.Total, " ", r.Events)
	}
	for _, f := range manifest.Files {
		if !f.IsOf(lake.Events, entry.Day) {
			continue
		}
		for row, err := range s.ReadEvents(manifest, f) {
			if err != nil {
				return err
			}
			e := &row.Event
			if before, twice := have[string(e.ID)]; twice {
				return fmt.Errorf("event %q is in two account-days: %s; %s of %s", e.ID, before, e.Day, e.Account)
			}
			have[string(e.ID)] = fmt.Sprint(e.Day, " ", e.Account, " ", e.Service, " ", e.Cost)
		}
	}
	return nil
}

// judgeComplete: a day that does not say that its input is behind has read all that was in the topics at its cutoff,
// by the clock as the publisher saw it. What came after it looked may be missing.
func (m *machine) judgeComplete(entry *lake.DayEntry, next map[state.PartitionID]int64, asOf time.Time) {
	cutoff := publish.DefaultConfig().Cutoff.Of(entry.Day)
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Contains(entry.Reasons, "input_behind") {
		return
	}
	look, ok := m.mu.looks[asOf.UTC()]
	if !ok {
		m.fail("day %s: no publisher looked at its clock at %s", entry.Day, asOf)
		return
	}
	for _, r := range m.mu.log {
		if id := (state.PartitionID{Topic: r.Topic, Partition: r.Partition}); r.at.Before(look.at) && r.at.Add(look.skew).Before(cutoff) && r.Offset >= next[id] {
			m.fail("day %s says that its input is read; the record at %v/%d came at %s and is not in it", entry.Day, id, r.Offset, r.at.Add(look.skew))
			return
		}
	}
}

// converge runs a machine without faults until everything is read and due: the
// release equals the model, nothing is left to do, and verification agrees.
func (w *world) converge(mem *rot.Crashable) {
	m := &machine{world: w, disk: newDisk(mem), crashed: make(chan struct{}), ctx: context.Background()}
	w.mu.Lock()
	w.mu.boots++
	w.mu.Unlock()
	m.judgeState()
	m.judgeAcknowledged()
	w.calm()
	w.mu.Lock()
	w.mu.skew = max(w.mu.skew, 0)
	w.mu.Unlock()
	w.produce(3)
	time.Sleep(4 * 24 * time.Hour) // all days that were drawn become due
	g, err := ingest.New(m.config(), ingest.RulesConfig{}, ingest.RunOptions{UntilCaughtUp: true, IdleTimeout: 10 * time.Minute}, m.ingestDeps())
	if err == nil {
		err = errors.Join(g.Run(m.ctx), g.Close())
	}
	if err != nil {
		m.fail("catch up at the end: %v", err)
		return
	}
	report, err := m.publisher(false).Run(m.ctx)
	if err != nil {
		m.fail("publish at the end: %v", err)
		return
	}
	w.mu.Lock()
	all := maps.Clone(w.mu.next)
	w.mu.Unlock()
	for _, r := range report.Tenants {
		s := m.lake().Tenant(r.Tenant)
		manifest, err := s.Current()
		if err != nil || manifest == nil {
			m.fail("tenant %s has no release at the end: %v", r.Tenant, err)
			return
		}
		m.judgeRelease(s, string(r.Tenant), manifest.Release)
		for _, p := range manifest.Input {
			id := state.PartitionID{Topic: billing.TopicOrdinal(slices.Index(topics, p.Topic)), Partition: p.Partition}
			if r.Outcome == publish.Published && p.NextOffset != all[id] {
				m.fail("tenant %s: at the end partition %v is read up to %d of %d", r.Tenant, id, p.NextOffset, all[id])
			}
		}
	}
	again, err := m.publisher(false).Run(m.ctx)
	for _, r := range again.Tenants {
		if r.Outcome != publish.NothingNew {
			m.fail("tenant %s: %s although nothing changed", r.Tenant, r.Outcome)
		}
	}
	if _, verifyErr := m.publisher(false).Verify(m.ctx); err != nil || verifyErr != nil {
		m.fail("at the end: %v, verify: %v", err, verifyErr)
	}
}

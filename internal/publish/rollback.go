package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"daybook/internal/billing"
	"daybook/internal/lake"
	"daybook/internal/rollup"
)

// reasonRollback is the ledger's reason for what a rollback changes.
const reasonRollback = "rollback"

// Rollback makes a new release with the content of release n and puts the
// tenant on hold, so that the next run does not publish again what was rolled
// back. The hold is set first: a rollback that dies half-way leaves a hold too
// many, never one too few. who is written into the hold.
func (p *Publisher) Rollback(_ context.Context, tenant billing.TenantID, n int, who string) (m *lake.Manifest, err error) {
	s := p.deps.Lake.Tenant(tenant)
	unlock, err := s.Lock()
	if err != nil {
		return nil, fmt.Errorf("lock the lake: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if _, err := s.Recover(); err != nil {
		return nil, fmt.Errorf("recover the lake: %w", err)
	}
	current, err := s.Current()
	if err != nil {
		return nil, fmt.Errorf("read the newest release: %w", err)
	}
	if current == nil {
		return nil, fmt.Errorf("tenant %s: %w", tenant, lake.ErrNoRelease)
	}
	switch {
	case n > current.Release:
		return nil, fmt.Errorf("%w: release %d does not exist (newest is %d)", ErrUsage, n, current.Release)
	case n == current.Release:
		return nil, fmt.Errorf("%w: release %d is current already", ErrUsage, n)
	}
	target, err := s.Manifest(n)
	if err != nil {
		return nil, err
	}
	if err := s.Unpruned(n); err != nil {
		return nil, err
	}
	if err := s.Verify(target, nil); err != nil {
		return nil, fmt.Errorf("verify release %d: %w", n, err)
	}
	if err := sameAttributes(current, target); err != nil {
		return nil, err
	}
	changes, err := rollbackChanges(s, current, target)
	if err != nil {
		return nil, err
	}
	before, err := s.Hold()
	if err != nil {
		return nil, fmt.Errorf("read the hold: %w", err)
	}
	hold := &lake.Hold{Since: p.deps.Now().UTC(), Who: who, Why: fmt.Sprintf("rolled back from release %d to %d", current.Release, n)}
	if err := s.SetHold(hold); err != nil {
		return nil, fmt.Errorf("set the hold: %w", err)
	}
	m, err = rollBack(s, current, target, changes)
	if err != nil {
		return nil, errors.Join(err, s.SetHold(before))
	}
	return m, nil
}

// Resume lifts the hold of a tenant and reports whether there was one.
func (p *Publisher) Resume(tenant billing.TenantID) (held bool, err error) {
	s := p.deps.Lake.Tenant(tenant)
	unlock, err := s.Lock()
	if err != nil {
		return false, fmt.Errorf("lock the lake: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	hold, err := s.Hold()
	if err != nil || hold == nil {
		return false, err
	}
	return true, s.SetHold(nil)
}

// sameAttributes refuses to publish again what was taken out since target.
func sameAttributes(current, target *lake.Manifest) error {
	now, err := attributesOf(current)
	if err != nil {
		return err
	}
	then, err := attributesOf(target)
	if err != nil || now.String() == then.String() {
		return err
	}
	return fmt.Errorf("%w: release %d was published with --attributes %s, the newest with %s: a rollback would publish what is not to be published any more; `publisher backfill` makes the numbers anew",
		ErrUsage, target.Release, then, now)
}

// rollBack publishes target's content after current.
func rollBack(s *lake.Series, current, target *lake.Manifest, changes []lake.ChangeRow) (*lake.Manifest, error) {
	m := *target
	m.Previous, m.RolledBackFrom, m.RolledBackTo = current.Release, current.Release, target.Release
	m.Release = current.Release + 1
	// As-ofs never go back, or a run could publish as of a day that readers have seen pass.
	m.AsOf = current.AsOf
	var err error
	if m.Changes, err = summarize(changes); err != nil {
		return nil, err
	}
	b, err := s.Begin(m.Release, current)
	if err != nil {
		return nil, fmt.Errorf("begin release %d: %w", m.Release, err)
	}
	if err := fillRollback(b, current, target, changes, &m); err != nil {
		return nil, errors.Join(err, b.Abort())
	}
	return &m, nil
}

// fillRollback links the target's files and the whole ledger, and publishes.
func fillRollback(b *lake.Build, current, target *lake.Manifest, changes []lake.ChangeRow, m *lake.Manifest) error {
	for _, f := range target.Files {
		if f.Dataset == lake.Changes || f.Rows == 0 {
			continue
		}
		if err := b.LinkFrom(target.Release, f); err != nil {
			return err
		}
	}
	for _, f := range current.Files {
		if f.Dataset != lake.Changes || f.Rows == 0 {
			continue
		}
		if err := b.Link(f); err != nil {
			return err
		}
	}
	if len(changes) > 0 {
		if _, err := b.WriteChanges(changes); err != nil {
			return fmt.Errorf("write changes: %w", err)
		}
	}
	var failed faults
	lines, err := b.ReadBack()
	if err != nil {
		return fmt.Errorf("read back release %d: %w", m.Release, err)
	}
	for _, line := range lines {
		failed.add(gateReadBack, line)
	}
	m.Files = b.Files()
	checkFiles(m, &failed)
	checkLedger(current, m, &failed)
	m.Gates = failed.results()
	if err := failed.err(current); err != nil {
		return err
	}
	if err := b.Publish(m); err != nil {
		return fmt.Errorf("publish release %d: %w", m.Release, err)
	}
	return nil
}

// rollbackChanges is the ledger of going from current to target.
func rollbackChanges(s *lake.Series, current, target *lake.Manifest) ([]lake.ChangeRow, error) {
	from, to := dailyFiles(current), dailyFiles(target)
	days := make([]billing.Day, 0, len(from)+len(to))
	for d := range from {
		days = append(days, d)
	}
	for d := range to {
		days = append(days, d)
	}
	slices.Sort(days)
	var changes []lake.ChangeRow
	for _, d := range slices.Compact(days) {
		if from[d] == to[d] {
			continue // the very same file
		}
		was, err := readDay(s, current, d, from[d])
		if err != nil {
			return nil, err
		}
		now, err := readDay(s, target, d, to[d])
		if err != nil {
			return nil, err
		}
		if changes, err = diffRows(changes, d, was, now); err != nil {
			return nil, err
		}
	}
	return changes, nil
}

// dailyFiles are the hashes of daily_account_cost by day.
func dailyFiles(m *lake.Manifest) map[billing.Day]string {
	files := map[billing.Day]string{}
	for _, f := range m.Files {
		if f.Dataset == lake.AccountDays && f.Day != nil && f.Rows > 0 {
			files[*f.Day] = f.SHA256
		}
	}
	return files
}

func readDay(s *lake.Series, m *lake.Manifest, d billing.Day, hash string) ([]lake.AccountDayRow, error) {
	if hash == "" {
		return nil, nil
	}
	rows, err := s.ReadAccountDays(m, d)
	if err != nil {
		return nil, fmt.Errorf("read account-days of %s in release %d: %w", d, m.Release, err)
	}
	return rows, nil
}

// diffRows appends the ledger of one day going from was to now, both ascending.
func diffRows(changes []lake.ChangeRow, d billing.Day, was, now []lake.AccountDayRow) ([]lake.ChangeRow, error) {
	for len(was) > 0 || len(now) > 0 {
		var old, next *lake.AccountDayRow
		if len(now) == 0 || len(was) > 0 && was[0].Account <= now[0].Account {
			old = &was[0]
		}
		if len(was) == 0 || len(now) > 0 && now[0].Account <= was[0].Account {
			next = &now[0]
		}
		c := lake.ChangeRow{Day: d, Reasons: []string{reasonRollback}}
		if old != nil {
			c.Tenant, c.Account, c.Old, c.HasOld = old.Tenant, old.Account, old.Total, true
			was = was[1:]
		}
		if next != nil {
			c.Tenant, c.Account, c.New, c.HasNew = next.Tenant, next.Account, next.Total, true
			now = now[1:]
		}
		var ok bool
		if c.Delta, ok = c.New.Sub(c.Old); !ok {
			return nil, fmt.Errorf("account %q on %s: %w", c.Account, d, rollup.ErrOverflow)
		}
		switch {
		case old == nil:
			c.Kind = lake.ChangeNew
		case next == nil:
			c.Kind = lake.ChangeRetracted
		case old.Total != next.Total || old.Events != next.Events:
			c.Kind = lake.ChangeRestated
		case old.Complete != next.Complete:
			c.Kind = lake.ChangeCompleteness
		default:
			continue
		}
		changes = append(changes, c)
	}
	return changes, nil
}

package publish

import (
	"context"
	"errors"
	"fmt"

	"daybook/internal/billing"
	"daybook/internal/inspect"
	"daybook/internal/lake"
)

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
	changes, err := inspect.Changes(s, current, target, []string{inspect.ReasonRollback})
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
	return fmt.Errorf("%w: release %d was published with --attributes %s, the newest with %s: a rollback would publish fields that are no longer published; `publisher backfill` recomputes the numbers",
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

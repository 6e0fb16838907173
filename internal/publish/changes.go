package publish

import (
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/inspect"
	"daybook/internal/lake"
	"daybook/internal/state"
)

// changes are a tenant's account-days that changed since its newest release: one scan of its markers. Account-days
// of days that are neither released nor due are left out.
type changes struct {
	known   bool                           // see knownTo
	covered map[billing.Day]state.Sequence // see coveredDays
	days    map[billing.Day]map[billing.AccountID][]string
	count   int // of account-days
}

// since reports whether the scan was made for a release that covers the same. c may be nil.
func (c *changes) since(known bool, covered map[billing.Day]state.Sequence) bool {
	return c != nil && c.known == known && maps.Equal(c.covered, covered)
}

// knownTo reports whether the covered sequences of a release are of this state: the database is the same, and its
// journal has the same digest at that sequence as then. The journal is a hash chain, so one digest is enough for
// all sequences before it.
func knownTo(in *input, m *lake.Manifest) (bool, error) {
	if m == nil || m.Database != string(in.identity.Database) {
		return false, nil
	}
	digest, ok, err := in.reader.DigestAt(state.Sequence(m.Covered))
	if err != nil {
		return false, fmt.Errorf("read journal digest: %w", err)
	}
	return ok && hex.EncodeToString(digest[:]) == m.JournalDigest, nil
}

// coveredDays are the released days with the sequence up to which they cover the state; 0 where the state is not
// known to the release.
func coveredDays(m *lake.Manifest, known bool) map[billing.Day]state.Sequence {
	covered := map[billing.Day]state.Sequence{}
	if m == nil {
		return covered
	}
	for i := range m.Days {
		d := m.Days[i].Day
		if covered[d] = 0; known {
			covered[d] = state.Sequence(m.Days[i].CoveredSequence)
		}
	}
	return covered
}

// readChanges scans a tenant's markers, of which the state keeps one for every account-day that ever had an event.
// Ranges of days are scanned concurrently.
func readChanges(in *input, t billing.TenantID, known bool, covered map[billing.Day]state.Sequence) (*changes, error) {
	released := slices.Sorted(maps.Keys(covered))
	bounds := []billing.Day{math.MinInt32}
	for i, cores := 1, runtime.GOMAXPROCS(0); i < cores && cores <= len(released); i++ {
		bounds = append(bounds, released[i*len(released)/cores])
	}
	parts := make([]map[billing.Day]map[billing.AccountID][]string, len(bounds))
	var g errgroup.Group
	for i, from := range bounds {
		upTo := billing.Day(math.MaxInt32)
		if i+1 < len(bounds) {
			upTo = bounds[i+1] - 1
		}
		parts[i] = map[billing.Day]map[billing.AccountID][]string{}
		g.Go(func() error { return scanMarkers(in, t, from, upTo, covered, parts[i]) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	c := &changes{known: known, covered: covered, days: parts[0]}
	for _, part := range parts[1:] {
		maps.Copy(c.days, part) // ranges of days do not overlap
	}
	for _, accounts := range c.days {
		c.count += len(accounts)
	}
	return c, nil
}

// scanMarkers adds the changed account-days of a range of days, both inclusive, to days.
func scanMarkers(in *input, t billing.TenantID, from, to billing.Day, covered map[billing.Day]state.Sequence, days map[billing.Day]map[billing.AccountID][]string) error {
	for m, err := range in.reader.Markers(t, from, to) {
		if err != nil {
			return fmt.Errorf("read markers: %w", err)
		}
		d := m.AccountDay.Day
		before, released := covered[d]
		if m.Sequence <= before || !released && d > in.lastDue {
			continue // as released, or not due yet
		}
		if days[d] == nil {
			days[d] = map[billing.AccountID][]string{}
		}
		days[d][m.AccountDay.Account] = inspect.Causes(changesSince(&m, before), released)
	}
	return nil
}

// changesSince are the kinds of change to an account-day after a sequence.
func changesSince(m *state.Marker, covered state.Sequence) (c dedup.Change) {
	for bit, sequence := range m.BySequence {
		if kind := dedup.Change(1) << bit; m.Changes&kind != 0 && sequence > covered {
			c |= kind
		}
	}
	return c
}

package statedir

import (
	"math"
	"time"

	"daybook/internal/billing"
	"daybook/internal/state"
)

// DirtyCount counts the account-days of a tenant.
type DirtyCount struct {
	Covered     state.Sequence // of the newest release
	AccountDays int64
	Dirty       int64     // changed after Covered
	Oldest      time.Time // since when the dirty account-day that waits longest waits; zero: none waits
}

// CountDirty counts the account-days of a tenant that changed after its newest release. A dirty account-day waits
// for a release since its last change or, if that is later, since the end of its day: before, no release is due.
func CountDirty(r *state.Reader, tenant billing.TenantID, now time.Time) (c DirtyCount, err error) {
	if c.Covered, err = r.Covered(tenant); err != nil {
		return c, err
	}
	for m, err := range r.Markers(tenant, math.MinInt32, math.MaxInt32) {
		if err != nil {
			return c, err
		}
		c.AccountDays++
		if m.Sequence <= c.Covered {
			continue
		}
		c.Dirty++
		since := (m.AccountDay.Day + 1).Start()
		if m.ChangedAt.After(since) {
			since = m.ChangedAt
		}
		if !since.After(now) && (c.Oldest.IsZero() || since.Before(c.Oldest)) {
			c.Oldest = since
		}
	}
	return c, nil
}

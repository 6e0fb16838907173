package inspect

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"daybook/internal/billing"
	"daybook/internal/lake"
	"daybook/internal/rollup"
)

// certificateFormat is the version of a certificate's JSON and of the digests in it.
const certificateFormat = 1

// Certificate says what a release holds in digests that do not depend on any order: two rebuilds of one log
// have the same, and two that differ name where, without the data. docs/audit.md says what it proves.
type Certificate struct {
	Format  int              `json:"format"`
	Tenant  billing.TenantID `json:"tenant_id"`
	Release int              `json:"release"`
	// Fingerprint is one line for all days: equal fingerprints are equal certificates.
	Fingerprint string         `json:"fingerprint"`
	Days        []CertifiedDay `json:"days"`
}

// CertifiedDay is a released day.
type CertifiedDay struct {
	Day billing.Day `json:"usage_date"`
	// AccountDays counts also those that have nothing but withheld records, and silent ones.
	AccountDays int64         `json:"account_days"`
	Events      int64         `json:"events"`
	Total       billing.Money `json:"total_usd"`
	Digest      string        `json:"digest"`
	// Accounts are the account-days with events, ascending; nil where they were not asked for.
	Accounts []CertifiedAccount `json:"accounts,omitempty"`
}

// CertifiedAccount is one account-day.
type CertifiedAccount struct {
	Account billing.AccountID `json:"account_id"`
	Events  int64             `json:"events"`
	Total   billing.Money     `json:"total_usd"`
	Digest  string            `json:"digest"`
}

// Certify makes the certificate of a release (0: the newest) by day, of the days in w (nil: all). With accounts
// it has the account-days too, computed from the released events; the release must not be pruned then.
func Certify(s *lake.Series, n int, w *lake.Window, accounts bool) (*Certificate, error) {
	m, err := s.Find(n)
	if err != nil {
		return nil, err
	}
	c := &Certificate{Format: certificateFormat, Tenant: m.Tenant, Release: m.Release, Days: []CertifiedDay{}}
	for i := range m.Days {
		e := &m.Days[i]
		if e.AccountDays == 0 || !within(w, e.Day) {
			continue
		}
		c.Days = append(c.Days, CertifiedDay{Day: e.Day, AccountDays: e.AccountDays, Events: e.Events, Total: e.Total, Digest: e.Digest})
		if !accounts {
			continue
		}
		if err := certifyAccounts(s, m, e.Day, &c.Days[len(c.Days)-1]); err != nil {
			return nil, err
		}
	}
	c.Fingerprint = c.fingerprint()
	return c, nil
}

// certifyAccounts sums a day's released events by account, and checks that they have the day's digest.
func certifyAccounts(s *lake.Series, m *lake.Manifest, day billing.Day, c *CertifiedDay) error {
	var fold rollup.Fold
	var all billing.Digest
	var account billing.AccountID
	end := func() {
		if totals := fold.Totals(); totals.Events > 0 {
			c.Accounts = append(c.Accounts, CertifiedAccount{account, totals.Events, totals.Total, hex.EncodeToString(totals.Digest[:])})
			all = all.Plus(totals.Digest)
			fold.Reset()
		}
	}
	for _, f := range m.EventFiles(day) {
		for row, err := range s.ReadEvents(m, f) {
			if err != nil {
				return fmt.Errorf("read events of %s: %w", day, err)
			}
			if row.Event.Account != account {
				end()
				account = row.Event.Account
			}
			if err := fold.Add(&row.Event); err != nil {
				return fmt.Errorf("account %q on %s: %w", account, day, err)
			}
		}
	}
	end()
	if got := hex.EncodeToString(all[:]); got != c.Digest {
		return fmt.Errorf("%w: the events of %s have the digest %s, the manifest of release %d states %s", ErrDifference, day, got, m.Release, c.Digest)
	}
	return nil
}

// fingerprint is the SHA-256 of a line for each day.
func (c *Certificate) fingerprint() string {
	hash := sha256.New()
	for i := range c.Days {
		d := &c.Days[i]
		fmt.Fprintf(hash, "%s %d %d %s %s\n", d.Day, d.AccountDays, d.Events, d.Total, d.Digest)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// ReadCertificate reads a printed certificate and checks its fingerprint. Error: ErrUsage.
func ReadCertificate(r io.Reader) (*Certificate, error) {
	c := &Certificate{}
	if err := json.NewDecoder(r).Decode(c); err != nil {
		return nil, fmt.Errorf("%w: not a certificate: %w", ErrUsage, err)
	}
	if c.Format != certificateFormat {
		return nil, fmt.Errorf("%w: a certificate of format %d; this is Daybook for format %d", ErrUsage, c.Format, certificateFormat)
	}
	if got := c.fingerprint(); got != c.Fingerprint {
		return nil, fmt.Errorf("%w: the certificate was changed: its fingerprint is %s, the fingerprint of its days is %s", ErrUsage, c.Fingerprint, got)
	}
	return c, nil
}

// detailed reports whether the certificate has account-days.
func (c *Certificate) detailed() bool {
	return slices.ContainsFunc(c.Days, func(d CertifiedDay) bool { return d.Accounts != nil })
}

// CertificateComparison is a release's certificate held against another one.
type CertificateComparison struct {
	Tenant      billing.TenantID `json:"tenant_id"`
	Release     int              `json:"release"`
	Other       int              `json:"other_release"`
	Days        int              `json:"days"`
	Differences []Difference     `json:"differences"` // Expected is the other certificate's
}

// Err is ErrDifference when anything differs.
func (c *CertificateComparison) Err() error {
	if len(c.Differences) == 0 {
		return nil
	}
	return fmt.Errorf("%w: release %d and the other certificate differ in %d places", ErrDifference, c.Release, len(c.Differences))
}

// CompareCertificate holds a release (0: the newest) against another certificate, of the same tenant: by day, and
// where the days differ and the other has account-days, by account-day.
func CompareCertificate(s *lake.Series, n int, w *lake.Window, other *Certificate) (*CertificateComparison, error) {
	own, err := Certify(s, n, w, false)
	if err != nil {
		return nil, err
	}
	if other.Tenant != own.Tenant {
		return nil, fmt.Errorf("%w: the other certificate is of tenant %q", ErrUsage, other.Tenant)
	}
	result := &CertificateComparison{Tenant: own.Tenant, Release: own.Release, Other: other.Release, Differences: []Difference{}}
	ours, theirs := map[billing.Day]*CertifiedDay{}, map[billing.Day]*CertifiedDay{}
	for i := range own.Days {
		ours[own.Days[i].Day] = &own.Days[i]
	}
	for i := range other.Days {
		if day := other.Days[i].Day; within(w, day) {
			theirs[day] = &other.Days[i]
		}
	}
	all := maps.Clone(ours)
	maps.Copy(all, theirs)
	for _, day := range slices.Sorted(maps.Keys(all)) {
		result.Days++
		before := len(result.Differences)
		result.day(ours[day], theirs[day])
		if len(result.Differences) == before || ours[day] == nil || !other.detailed() || theirs[day] == nil {
			continue
		}
		detail, err := Certify(s, own.Release, &lake.Window{From: day, To: day}, true)
		if err != nil {
			return nil, err
		}
		result.accounts(day.String(), detail.Days[0].Accounts, theirs[day].Accounts)
	}
	return result, nil
}

// day compares a day; one of the two may be nil.
func (c *CertificateComparison) day(own, other *CertifiedDay) {
	switch {
	case own == nil:
		c.Differences = append(c.Differences, Difference{Day: other.Day.String(), What: missing, Expected: fmt.Sprintf("%s of %d events", other.Total, other.Events)})
	case other == nil:
		c.Differences = append(c.Differences, Difference{Day: own.Day.String(), What: extra, Released: fmt.Sprintf("%s of %d events", own.Total, own.Events)})
	default:
		at := Difference{Day: own.Day.String(), What: differs}
		c.cell(at, "account_days", fmt.Sprint(other.AccountDays), fmt.Sprint(own.AccountDays))
		c.cell(at, "events", fmt.Sprint(other.Events), fmt.Sprint(own.Events))
		c.cell(at, "total_usd", other.Total.String(), own.Total.String())
		c.cell(at, "digest", other.Digest, own.Digest)
	}
}

// accounts compares the account-days of a day, which ascend.
func (c *CertificateComparison) accounts(day string, own, other []CertifiedAccount) {
	for len(own) > 0 || len(other) > 0 {
		order := 0
		switch {
		case len(own) == 0:
			order = 1
		case len(other) == 0:
			order = -1
		default:
			order = cmp.Compare(own[0].Account, other[0].Account)
		}
		switch {
		case order < 0:
			c.Differences = append(c.Differences, Difference{Day: day, Account: string(own[0].Account), What: extra, Released: fmt.Sprintf("%s of %d events", own[0].Total, own[0].Events)})
			own = own[1:]
		case order > 0:
			c.Differences = append(c.Differences, Difference{Day: day, Account: string(other[0].Account), What: missing, Expected: fmt.Sprintf("%s of %d events", other[0].Total, other[0].Events)})
			other = other[1:]
		default:
			at := Difference{Day: day, Account: string(own[0].Account), What: differs}
			c.cell(at, "events", fmt.Sprint(other[0].Events), fmt.Sprint(own[0].Events))
			c.cell(at, "total_usd", other[0].Total.String(), own[0].Total.String())
			c.cell(at, "digest", other[0].Digest, own[0].Digest)
			own, other = own[1:], other[1:]
		}
	}
}

// cell compares one cell that both have.
func (c *CertificateComparison) cell(at Difference, column, expected, released string) {
	if expected != released {
		at.Column, at.Expected, at.Released = column, expected, released
		c.Differences = append(c.Differences, at)
	}
}

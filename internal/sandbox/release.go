package sandbox

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"daybook/internal/billing"
	"daybook/internal/cli"
	"daybook/internal/lake"
)

// dailyHeader is the header of the printed daily table.
var dailyHeader = []string{
	"account_id", "usage_date", ">total_cost_usd", "data_complete",
	">revision", ">previous_total_cost_usd", ">event_count", "published_at",
}

// release is one tenant's release, opened for reading.
type release struct {
	series   *lake.Series
	manifest *lake.Manifest
	dir      string // absolute path, as queries name it
	amount   func(cli.Amount) string
}

// current opens the newest release of a tenant. Its tables print amounts by amount; nil: for display.
func current(l *lake.Lake, t billing.TenantID, amount func(cli.Amount) string) (*release, error) {
	s := l.Tenant(t)
	n, dir, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("find the release of tenant %s: %w", t, err)
	}
	m, err := s.Manifest(n)
	if err != nil {
		return nil, err
	}
	if amount == nil {
		amount = cli.Amount.Display
	}
	return &release{series: s, manifest: m, dir: dir, amount: amount}, nil
}

// days are the released days, ascending.
func (r *release) days() []billing.Day {
	var days []billing.Day
	for _, e := range r.manifest.Days {
		days = append(days, e.Day)
	}
	return days
}

// printDaily prints daily_account_cost of the days for which keep is true.
func (r *release) printDaily(w io.Writer, keep func(billing.Day) bool) error {
	days := r.days()
	var rows [][]string
	for _, d := range days {
		if !keep(d) {
			continue
		}
		accounts, err := r.series.ReadAccountDays(r.manifest, d)
		if err != nil {
			return err
		}
		for _, a := range accounts {
			previous := ""
			if a.HasPrevious {
				previous = r.amount(a.Previous)
			}
			rows = append(rows, []string{
				string(a.Account), d.String(), r.amount(a.Total), strconv.FormatBool(a.Complete),
				strconv.FormatInt(a.Revision, 10), previous, strconv.FormatInt(a.Events, 10), stamp(a.PublishedAt),
			})
		}
	}
	return cli.Table(w, dailyHeader, rows)
}

// printChanges prints the ledger rows of this release, without new account-days.
func (r *release) printChanges(w io.Writer) error {
	changes, err := r.series.ReadChanges(r.manifest, r.manifest.Release)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, c := range changes {
		if c.Kind == lake.ChangeNew {
			continue
		}
		rows = append(rows, []string{
			string(c.Account), c.Day.String(), string(c.Kind), strings.Join(c.Reasons, ", "),
			r.optional(c.Old, c.HasOld), r.optional(c.New, c.HasNew), r.amount(c.Delta),
		})
	}
	return cli.Table(w, []string{
		"account_id", "usage_date", "kind", "reasons", ">old_total_usd", ">new_total_usd", ">delta_usd",
	}, rows)
}

// written returns the files that this release wrote, and the number of files that are linked from earlier releases.
func (r *release) written() (own []lake.File, linked int) {
	for _, f := range r.manifest.Files {
		if f.WrittenBy == r.manifest.Release {
			own = append(own, f)
		} else {
			linked++
		}
	}
	return own, linked
}

// total is the sum over all released days.
func (r *release) total() (sum billing.Money, accountDays, events int64, err error) {
	for _, e := range r.manifest.Days {
		var ok bool
		if sum, ok = sum.Add(e.Total); !ok {
			return sum, 0, 0, fmt.Errorf("sum of release %d leaves DECIMAL(38,18)", r.manifest.Release)
		}
		accountDays += e.AccountDays
		events += e.Events
	}
	return sum, accountDays, events, nil
}

// months are the totals by usage month, ascending.
func (r *release) months() ([][]string, error) {
	type month struct {
		total                billing.Money
		days, events, closed int64
	}
	by := map[billing.Period]*month{}
	for _, e := range r.manifest.Days {
		name := e.Day.Month()
		m := by[name]
		if m == nil {
			m = &month{}
			by[name] = m
		}
		var ok bool
		if m.total, ok = m.total.Add(e.Total); !ok {
			return nil, fmt.Errorf("sum of %s leaves DECIMAL(38,18)", name)
		}
		m.days++
		m.events += e.Events
		if e.Completeness == "complete" {
			m.closed++
		}
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(by)) {
		m := by[name]
		rows = append(rows, []string{string(name), r.amount(m.total), cli.Count(m.days), cli.Count(m.closed), cli.Count(m.events)})
	}
	return rows, nil
}

// topServices are the services with the greatest totals, at most n.
func (r *release) topServices(n int) ([][]string, error) {
	days := r.days()
	type service struct {
		name   billing.ServiceName
		total  billing.Money
		events int64
	}
	by := map[billing.ServiceName]*service{}
	for _, d := range days {
		rows, err := r.series.ReadServiceDays(r.manifest, d)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			s := by[row.Service]
			if s == nil {
				s = &service{name: row.Service}
				by[row.Service] = s
			}
			var ok bool
			if s.total, ok = s.total.Add(row.Total); !ok {
				return nil, fmt.Errorf("sum of service %q leaves DECIMAL(38,18)", row.Service)
			}
			s.events += row.Events
		}
	}
	all := slices.SortedFunc(maps.Values(by), func(a, b *service) int {
		return cmp.Or(b.total.Cmp(a.total), cmp.Compare(a.name, b.name))
	})
	var rows [][]string
	for _, s := range all[:min(n, len(all))] {
		rows = append(rows, []string{string(s.name), r.amount(s.total), cli.Count(s.events)})
	}
	return rows, nil
}

// duckdb is a shell command that reads the daily table of the release. It names the release and not `current`, which
// must be resolved once and not be scanned through.
func (r *release) duckdb() string {
	glob := filepath.Join(r.dir, string(lake.AccountDays), "*", "*.parquet")
	// SQL quotes (a quote is doubled) are inside shell quotes.
	sql := fmt.Sprintf("SELECT account_id, usage_date, total_cost_usd FROM read_parquet('%s', hive_partitioning = true) ORDER BY ALL",
		strings.ReplaceAll(glob, "'", "''"))
	return "duckdb -c " + shellQuote(sql)
}

// shellQuote quotes s as one word of a shell.
func shellQuote(s string) string {
	if !strings.ContainsAny(s, "\"$`\\!") {
		return `"` + s + `"`
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// optional is an amount that may be absent.
func (r *release) optional(m billing.Money, ok bool) string {
	if !ok {
		return ""
	}
	return r.amount(m)
}

// stamp formats a time as all of Daybook does.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

package publish

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"daybook/internal/billing"
	"daybook/internal/inspect"
	"daybook/internal/lake"
)

// expectFields are the columns of a file of expected accounts.
var expectFields = []string{"account_id", "tenant_id", "from", "to"}

// expectations are the accounts that should send something, with their days, ascending by account.
type expectations []lake.ExpectedAccount

// has reports whether an account is expected on a day.
func (e expectations) has(a billing.AccountID, d billing.Day) bool {
	at, found := slices.BinarySearchFunc(e, a, func(x lake.ExpectedAccount, a billing.AccountID) int {
		return strings.Compare(string(x.Account), string(a))
	})
	return found && covers(&e[at], d)
}

// on are the accounts that are expected on a day, ascending.
func (e expectations) on(d billing.Day) []billing.AccountID {
	var accounts []billing.AccountID
	for i := range e {
		if covers(&e[i], d) {
			accounts = append(accounts, e[i].Account)
		}
	}
	return accounts
}

// covers reports whether a day is among those of an expected account.
func covers(e *lake.ExpectedAccount, d billing.Day) bool {
	return e.From <= d && (e.To == 0 || d <= e.To)
}

// readExpectations reads the file of expected accounts, by tenant. A From of 0 means
// from the tenant's first day with events.
func readExpectations(name string) (map[billing.TenantID]expectations, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w: --expect-accounts: %w", ErrUsage, err)
	}
	defer f.Close()
	byTenant, err := parseExpectations(f)
	if err != nil {
		return nil, fmt.Errorf("%w: --expect-accounts: %s: %w", ErrUsage, name, err)
	}
	return byTenant, nil
}

func parseExpectations(r io.Reader) (map[billing.TenantID]expectations, error) {
	rows := csv.NewReader(r)
	header, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty: its first line names its columns, account_id at least")
	}
	if err != nil {
		return nil, err
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	for i, name := range header {
		if !slices.Contains(expectFields, name) || slices.Contains(header[:i], name) {
			return nil, fmt.Errorf("column %q: the columns are %s, each once", name, strings.Join(expectFields, ", "))
		}
	}
	if !slices.Contains(header, "account_id") {
		return nil, errors.New("no column account_id")
	}
	byTenant := map[billing.TenantID]expectations{}
	lines := map[[2]string]int{}
	for {
		record, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		line, _ := rows.FieldPos(0)
		tenant, e, err := parseExpected(header, record)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		key := [2]string{string(tenant), string(e.Account)}
		if before, twice := lines[key]; twice {
			return nil, fmt.Errorf("account %q of tenant %s is on lines %d and %d", e.Account, tenant, before, line)
		}
		lines[key] = line
		byTenant[tenant] = append(byTenant[tenant], e)
	}
	for _, list := range byTenant {
		slices.SortFunc(list, func(a, b lake.ExpectedAccount) int { return strings.Compare(string(a.Account), string(b.Account)) })
	}
	return byTenant, nil
}

// parseExpected reads one line.
func parseExpected(header, record []string) (t billing.TenantID, e lake.ExpectedAccount, err error) {
	t = billing.DefaultTenant
	for i, name := range header {
		cell := record[i]
		switch {
		case name == "account_id":
			if len(cell) < 1 || len(cell) > billing.MaxIDBytes {
				return t, e, fmt.Errorf("account_id has %d bytes, it may have 1 to %d", len(cell), billing.MaxIDBytes)
			}
			e.Account = billing.AccountID(cell)
		case cell == "":
		case name == "tenant_id":
			if t = billing.TenantID(cell); !t.Valid() {
				return t, e, fmt.Errorf("tenant_id %q cannot be a tenant", cell)
			}
		default:
			d, err := billing.ParseDay(cell)
			if err != nil || d <= 0 {
				return t, e, fmt.Errorf("%s %q is not a date YYYY-MM-DD after 1970-01-01", name, cell)
			}
			if name == "from" {
				e.From = d
			} else {
				e.To = d
			}
		}
	}
	if e.To != 0 && e.To < e.From {
		return t, e, fmt.Errorf("to %s is before from %s", e.To, e.From)
	}
	return t, e, nil
}

// expectations returns the expected accounts of this release: those of the newest release in a backfill or without
// a file.
func (p *planner) expectations(days map[billing.Day]*dayPlan) (expectations, error) {
	var released expectations
	if p.prev != nil {
		released = p.prev.Expected
	}
	if p.in.expected == nil || p.window != nil {
		return released, nil
	}
	given := slices.Clone(p.in.expected[p.tenant])
	if !slices.ContainsFunc(given, func(e lake.ExpectedAccount) bool { return e.From == 0 }) {
		return given, nil
	}
	first, ok, err := p.firstDay(days)
	if err != nil {
		return nil, err
	}
	for i := range given {
		if given[i].From == 0 && ok {
			given[i].From = first
		}
	}
	// Without a day with events there is no first day, and an expectation that ends before it is empty.
	return slices.DeleteFunc(given, func(e lake.ExpectedAccount) bool {
		return e.From == 0 || e.To != 0 && e.To < e.From
	}), nil
}

// firstDay is the tenant's first due day for which something was sent.
func (p *planner) firstDay(days map[billing.Day]*dayPlan) (first billing.Day, ok bool, err error) {
	var sorted []billing.Day
	for d := range days {
		sorted = append(sorted, d)
	}
	slices.Sort(sorted)
	for _, d := range sorted {
		day := days[d]
		if day.prev != nil && len(day.dirty) == 0 && sent(day.prev) > 0 || len(day.withheld) > 0 {
			return d, true, nil
		}
		// A day that has a marker may have no event left.
		for _, err := range p.in.reader.Events(p.tenant, d, "", "") {
			return d, err == nil, err
		}
	}
	return 0, false, nil
}

// sent counts the account-days of a released day for which something was sent.
func sent(day *lake.DayEntry) int64 {
	n := day.AccountDays
	for _, reasons := range day.Accounts {
		if slices.Contains(reasons, inspect.ReasonSilent) {
			n--
		}
	}
	return n
}

// planExpected plans the account-days that are expected now and were not, or were and are not.
func (p *planner) planExpected(days map[billing.Day]*dayPlan, at func(billing.Day) *dayPlan, now expectations) {
	var before expectations
	if p.prev != nil {
		before = p.prev.Expected
	}
	for i := range now {
		last := p.in.lastDue
		if now[i].To != 0 {
			last = min(last, now[i].To)
		}
		for d := now[i].From; d <= last; d++ {
			if day := at(d); !before.has(now[i].Account, d) || day.prev == nil {
				day.touch(now[i].Account)
			}
		}
	}
	for d, day := range days {
		day.expected = now
		for _, a := range before.on(d) {
			if !now.has(a, d) {
				day.touch(a)
			}
		}
	}
}

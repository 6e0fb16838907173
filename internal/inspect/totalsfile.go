package inspect

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"daybook/internal/billing"
)

// Grain is what a row of expected totals is about.
type Grain string

// The grains, as a file's header tells them.
const (
	ByDay        Grain = "day"
	ByAccountDay Grain = "account-day"
	ByServiceDay Grain = "account-service-day"
)

// The columns that a file of expected totals may have, by their names.
var (
	dayColumns     = []string{"usage_date", "day", "date"}
	accountColumns = []string{"account_id", "account"}
	serviceColumns = []string{"service_name", "service"}
	countColumns   = []string{"event_count", "events"}
	moneyColumns   = []string{"total_cost_usd", "cost_usd", "total_cost", "billed_cost"}
)

// expectedKey is a row's place; account and service are empty above their grain.
type expectedKey struct {
	day     billing.Day
	account string
	service string
}

// expectedRow is what a file says of one place.
type expectedRow struct {
	money billing.Money
	text  string // as written
	exact bool   // false: it has more places than a total can have
	count int64  // -1: the file does not say
	line  int
	seen  bool
}

// Columns says which columns of a file of expected totals are compared.
type Columns struct {
	Money  string // empty: the first that has a known name
	Counts bool   // event_count too, where the file has it
}

// expected is a whole file of expected totals.
type expected struct {
	grain  Grain
	column string // the money column
	rows   map[expectedKey]*expectedRow
}

// expectedColumns is where a file's columns are; -1 for one it lacks.
type expectedColumns struct{ day, account, service, count, money int }

// readExpected reads a CSV file with a header.
func readExpected(r io.Reader, columns Columns) (*expected, error) {
	csvReader := csv.NewReader(r)
	csvReader.ReuseRecord = true
	header, err := csvReader.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: the file is empty", ErrUsage)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	e := &expected{rows: map[expectedKey]*expectedRow{}}
	at, err := e.columns(header, columns.Money)
	if err != nil {
		return nil, err
	}
	if !columns.Counts {
		at.count = -1
	}
	for {
		record, err := csvReader.Read()
		if errors.Is(err, io.EOF) {
			return e, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUsage, err)
		}
		line, _ := csvReader.FieldPos(0)
		if err := e.add(record, at, line); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrUsage, line, err)
		}
	}
}

// columns finds the columns and with them the grain.
func (e *expected) columns(header []string, column string) (at expectedColumns, err error) {
	names := slices.Clone(header)
	if len(names) > 0 {
		names[0] = strings.TrimPrefix(names[0], "\ufeff")
	}
	find := func(known []string) int {
		for _, name := range known {
			if i := slices.Index(names, name); i >= 0 {
				return i
			}
		}
		return -1
	}
	at = expectedColumns{find(dayColumns), find(accountColumns), find(serviceColumns), find(countColumns), find(moneyColumns)}
	if column != "" {
		at.money = slices.Index(names, column)
	}
	switch {
	case at.day < 0:
		return at, fmt.Errorf("%w: no column of %s in the header", ErrUsage, strings.Join(dayColumns, ", "))
	case at.money < 0 && column != "":
		return at, fmt.Errorf("%w: no column %q in the header; it has %s", ErrUsage, column, strings.Join(names, ", "))
	case at.money < 0:
		return at, fmt.Errorf("%w: no column of %s in the header: name it with --column", ErrUsage, strings.Join(moneyColumns, ", "))
	case at.service >= 0 && at.account < 0:
		return at, fmt.Errorf("%w: totals by service need a column account_id", ErrUsage)
	}
	e.column = names[at.money]
	e.grain = ByDay
	if at.account >= 0 {
		e.grain = ByAccountDay
	}
	if at.service >= 0 {
		e.grain = ByServiceDay
	}
	return at, nil
}

// add takes one row.
func (e *expected) add(record []string, at expectedColumns, line int) error {
	day, err := billing.ParseDay(record[at.day])
	if err != nil {
		return err
	}
	key := expectedKey{day: day}
	if at.account >= 0 {
		key.account = strings.Clone(record[at.account])
	}
	if at.service >= 0 {
		key.service = strings.Clone(record[at.service])
	}
	row := &expectedRow{text: strings.Clone(record[at.money]), count: -1, line: line}
	money, rounded, err := billing.ParseMoney(row.text)
	if err != nil {
		return fmt.Errorf("column %s: %w", e.column, err)
	}
	row.money, row.exact = money, !rounded
	if at.count >= 0 {
		if row.count, err = strconv.ParseInt(record[at.count], 10, 64); err != nil || row.count < 0 {
			return fmt.Errorf("event_count %q is not a count", record[at.count])
		}
	}
	if twice, ok := e.rows[key]; ok {
		return fmt.Errorf("the same row as line %d", twice.line)
	}
	e.rows[key] = row
	return nil
}

package lake

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"daybook/internal/billing"
	"daybook/internal/disk"
	"daybook/internal/parquet"
)

// Verify reads every file of a release and compares size, hash, rows and sums with the manifest. progress, which may be
// nil, is called with bytes. ErrDamaged.
func (s *Series) Verify(m *Manifest, progress func(done, total int64)) error {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	var done, total int64
	for _, f := range m.Files {
		total += f.Bytes
	}
	progress(0, total)
	for _, f := range m.Files {
		name, err := s.filePath(m.Release, f)
		if err != nil {
			return err
		}
		fault, err := s.checkFile(name, f, nil, nil)
		if err != nil {
			return fmt.Errorf("verify %s of release %d: %w", f.Path, m.Release, err)
		}
		if fault != "" {
			return fmt.Errorf("verify %s of release %d: %w: %s", f.Path, m.Release, ErrDamaged, fault)
		}
		done += f.Bytes
		progress(done, total)
	}
	return nil
}

// ReadBack reads the files that this build wrote, not those that it linked, from disk and checks them against their
// entries: bytes, rows, sums, order, uniqueness of keys, tenant, nulls. It compares each account's events with its
// account-day, where this build wrote that, too. Each fault is one line.
//
// Of row groups that were reused only the bytes are checked, by the hash of the file: they were copied from a file
// whose hash was that of its manifest, and the release that wrote them decoded them.
func (b *Build) ReadBack() (faults []string, err error) {
	b.mu.Lock()
	written, files, days := maps.Clone(b.mu.written), maps.Clone(b.mu.files), maps.Clone(b.mu.days)
	b.mu.Unlock()
	names := slices.Sorted(maps.Keys(written))
	lines := make([]string, len(names))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, name := range names {
		group.Go(func() error {
			f := files[name]
			var totals []accountTotal
			if f.Day != nil {
				totals = days[*f.Day]
			}
			fault, err := b.series.checkFile(filepath.Join(b.dir, name), f, written[name], totals)
			if err != nil {
				fault = err.Error()
			}
			if fault != "" {
				lines[i] = name + ": " + fault
			}
			return nil
		})
	}
	err = group.Wait()
	return slices.DeleteFunc(lines, func(line string) bool { return line == "" }), err
}

// checkFile compares a file with its entry. reused are the row groups that were copied, whose rows are not decoded.
// totals are the account-days of an event file's day, ascending, to which the events are compared; nil: to none. A
// fault concerns the rows, an error the bytes or the disk.
func (s *Series) checkFile(name string, f File, reused []bool, totals []accountTotal) (fault string, err error) {
	c := &fileChecker{tenant: []byte(s.tenant)}
	switch f.Dataset {
	case Events:
		c.totals = totals
		err = c.checkEvents(s.fs, name, f, reused)
	case ServiceDays:
		err = c.checkTable(s.fs, name, f, tableLayout{schema: serviceDaySchema, money: 3, key: []int{1, 2}})
	case AccountDays:
		err = c.checkTable(s.fs, name, f, tableLayout{schema: accountDaySchema, money: 2, key: []int{1}})
	case Changes:
		err = c.checkTable(s.fs, name, f, tableLayout{schema: changeSchema, money: 7, key: []int{2, 1}})
	default:
		_, err = readDimension(s.fs, name, f, dimensionKeys[f.Dataset], func(r DimRow) {
			c.checkKey([]byte(r.Tenant), []byte(r.Key))
		})
	}
	if err != nil || c.fault != "" {
		return c.fault, err
	}
	if f.Sum != nil && c.sum.Cmp(*f.Sum) != 0 {
		return fmt.Sprintf("the sum is %s instead of %s", c.sum, *f.Sum), nil
	}
	return "", nil
}

// tableLayout names the columns of a dataset that are checked, by their positions. The tenant is column 0.
type tableLayout struct {
	schema *parquet.Schema
	money  int
	key    []int
}

// columns returns all columns that are checked.
func (l *tableLayout) columns() []int { return append([]int{0, l.money}, l.key...) }

var eventTable = tableLayout{schema: eventSchema, money: 8, key: []int{2, 1}}

// accountTotal is the total of an account's events on a day.
type accountTotal struct {
	account billing.AccountID
	total   billing.Money
	events  int64
}

// fileChecker checks a file's rows in their order. It keeps the first fault.
type fileChecker struct {
	tenant       []byte
	groupFirst   []byte   // the first part of the first key of a row group
	last         [][]byte // the key of the last row
	lastIsReused bool     // last is the last account of a row group that was copied
	key          [][]byte // of the current row
	rows         int64
	sum          billing.Money
	fault        string

	totals  []accountTotal // of the day, ascending; nil: events are not compared with them
	account accountTotal   // the total so far of the current account; without events there is none
}

// checkTable checks a file that is no file of events.
func (c *fileChecker) checkTable(fsys disk.FS, name string, f File, l tableLayout) error {
	for batch, err := range readColumns(openHashed, fsys, name, f, l.schema, l.columns()...) {
		if err != nil {
			return err
		}
		c.checkBatch(batch, &l)
	}
	return nil
}

// checkEvents checks a file of events and the notes on its row groups.
func (c *fileChecker) checkEvents(fsys disk.FS, name string, f File, reused []bool) error {
	data, err := openHashed(fsys, name, f)
	if err != nil {
		return err
	}
	defer func() { _ = data.Close() }()
	file, err := parquet.Open(data, f.Bytes)
	if err != nil {
		return damaged(err)
	}
	if err := checkTable(file, f, eventSchema); err != nil {
		return err
	}
	notes, err := readGroupNotes(file)
	if err != nil {
		return err
	}
	decoder := file.NewDecoder(eventTable.columns()...)
	summary := newEventSummary()
	for i := range file.RowGroups() {
		if i < len(reused) && reused[i] {
			c.addReused(&notes[i])
		} else {
			rows, sum := c.rows, c.sum
			c.groupFirst = nil
			for batch, err := range decoder.RowGroup(i) {
				if err != nil {
					return damaged(err)
				}
				c.checkBatch(batch, &eventTable)
			}
			if notes == nil {
				continue
			}
			groupSum, _ := c.sum.Sub(sum)
			c.checkNote(i, &notes[i], c.rows-rows, groupSum)
		}
		if err := summary.addNote(&notes[i]); err != nil {
			return err
		}
	}
	c.endAccount()
	if got := hex.EncodeToString(summary.digest[:]); len(notes) > 0 && got != f.Digest && c.fault == "" {
		c.fault = fmt.Sprintf("the digest of its row groups is %s instead of %s", got, f.Digest)
	}
	return nil
}

// checkNote compares the rows of a row group, which were decoded, with its note.
func (c *fileChecker) checkNote(group int, n *groupNote, rows int64, sum billing.Money) {
	if c.fault != "" || c.last == nil {
		return
	}
	first, last := string(c.groupFirst), string(c.last[0])
	if first != string(n.First) || last != string(n.Last) || rows != n.Rows || sum != n.Sum {
		c.fault = fmt.Sprintf("row group %d has %d rows, accounts %q to %q, sum %s; its note states %d, %q to %q, %s",
			group, rows, first, last, sum, n.Rows, n.First, n.Last, n.Sum)
	}
}

// addReused adds a row group that was copied by its note.
func (c *fileChecker) addReused(n *groupNote) {
	// A large account may be in several copied row groups.
	continues := c.lastIsReused && c.last != nil && string(c.last[0]) == string(n.First)+"\x00"
	if c.fault == "" && c.last != nil && !continues && string(c.last[0]) >= string(n.First) {
		c.fault = fmt.Sprintf("accounts %q to %q at row %d are not in ascending order", n.First, n.Last, c.rows+1)
	}
	c.endAccount()
	c.rows += n.Rows
	c.addMoney(n.Sum)
	c.last, c.lastIsReused = [][]byte{[]byte(n.Last + "\x00"), nil}, true
}

// checkBatch checks the rows of a batch.
func (c *fileChecker) checkBatch(batch *parquet.ColumnBatch, l *tableLayout) {
	if c.key == nil {
		c.key = make([][]byte, len(l.key))
	}
	for i := range batch.Rows {
		for k, column := range l.key {
			if l.schema.Columns()[column].Type == parquet.Date {
				c.key[k] = []byte(billing.Day(batch.Int32(column, i)).String())
			} else {
				c.key[k] = batch.Bytes(column, i)
			}
		}
		c.checkKey(batch.Bytes(0, i), c.key...)
		m := moneyOf(batch.Decimal(l.money, i))
		if c.addMoney(m); c.totals != nil {
			c.addToAccount(c.key[0], m)
		}
	}
}

// addToAccount adds an event to the total of its account. An overflow is a fault of the file's sum, too.
func (c *fileChecker) addToAccount(account []byte, m billing.Money) {
	if string(account) != string(c.account.account) {
		c.endAccount()
		c.account.account = billing.AccountID(account)
	}
	c.account.total, _ = c.account.total.Add(m)
	c.account.events++
}

// endAccount compares the events of the current account with its account-day.
func (c *fileChecker) endAccount() {
	got := c.account
	c.account = accountTotal{}
	if got.events == 0 || c.fault != "" {
		return
	}
	i, found := slices.BinarySearchFunc(c.totals, got.account, func(t accountTotal, a billing.AccountID) int {
		return cmp.Compare(t.account, a)
	})
	switch {
	case !found:
		c.fault = fmt.Sprintf("account %q: events sum to %s (%d events), there is no account-day", got.account, got.total, got.events)
	case c.totals[i] != got:
		c.fault = fmt.Sprintf("account %q: events sum to %s (%d events), the account-day states %s (%d)",
			got.account, got.total, got.events, c.totals[i].total, c.totals[i].events)
	}
}

// checkKey counts a row and checks its tenant and its key.
func (c *fileChecker) checkKey(tenant []byte, key ...[]byte) {
	if c.rows++; c.fault != "" {
		return
	}
	if c.lastIsReused = false; c.groupFirst == nil {
		c.groupFirst = bytes.Clone(key[0])
	}
	if !bytes.Equal(tenant, c.tenant) {
		c.fault = fmt.Sprintf("row %d (%q) belongs to tenant %q", c.rows, key, tenant)
	}
	for _, part := range key {
		if len(part) == 0 {
			c.fault = fmt.Sprintf("row %d has an empty key: %q", c.rows, key)
		}
	}
	if c.last == nil {
		c.last = make([][]byte, len(key))
	}
	k, order := 0, 0 // the first part that differs from the row before
	for ; k < len(key); k++ {
		if order = bytes.Compare(c.last[k], key[k]); order != 0 {
			break
		}
	}
	if order == 0 {
		c.fault = fmt.Sprintf("rows %d and %d have the same key: %q", c.rows-1, c.rows, key)
	} else if order > 0 {
		c.fault = fmt.Sprintf("row %d (%q) is not in ascending order", c.rows, key)
	}
	for ; k < len(key); k++ {
		c.last[k] = append(c.last[k][:0], key[k]...)
	}
}

// addMoney adds a row's amount to the sum of the file.
func (c *fileChecker) addMoney(m billing.Money) {
	sum, ok := c.sum.Add(m)
	if !ok && c.fault == "" {
		c.fault = fmt.Sprintf("the sum overflows at row %d", c.rows)
	}
	c.sum = sum
}

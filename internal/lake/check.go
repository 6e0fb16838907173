package lake

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"runtime"
	"slices"

	"github.com/parquet-go/parquet-go"
	"golang.org/x/sync/errgroup"

	"daybook/internal/billing"
)

// Verify reads every file of a release and compares size, hash, rows and sums with the manifest.
// progress may be nil; it is told bytes. ErrDamaged.
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

// ReadBack reads what this build wrote (not what it linked), from disk, and checks it against the
// entries: bytes, rows, sums, order, uniqueness of keys, tenant, nulls; and each account's events against its
// account-day, where this build wrote that, too. Each fault is one line. Of row groups
// that were taken over the bytes are checked: they were compared with the released file's, whose hash was that
// of its manifest, and decoded by the release that wrote them.
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
			fault, err := b.series.checkFile(b.series.fs.PathJoin(b.dir, name), f, written[name], totals)
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

// checkFile holds a file against its entry, but for the rows of row groups that were taken over, and the events
// of a day against its totals (nil: not). A fault is in the rows; an error in the bytes or the disk.
func (s *Series) checkFile(name string, f File, kept []bool, totals []accountTotal) (fault string, err error) {
	c := &checker{tenant: []byte(s.tenant)}
	switch f.Dataset {
	case Events:
		c.totals = totals
		err = c.events(s.fs, name, f, kept)
	case ServiceDays:
		err = c.table(s.fs, name, f, serviceDaySchema, 0, 3, 1, 2)
	case AccountDays:
		err = c.table(s.fs, name, f, accountDaySchema, 0, 2, 1)
	case Changes:
		err = c.table(s.fs, name, f, changeSchema, 0, 7, 2, 1)
	default:
		_, err = readDimension(s.fs, name, f, dimensionKeys[f.Dataset], func(r DimRow) {
			c.row([]byte(r.Tenant), []byte(r.Key))
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

// checker folds a file's rows, in order.
type checker struct {
	tenant []byte
	first  []byte   // the first part of a row group's first key
	last   [][]byte // the key before
	kept   bool     // it is that of a row group that was taken over
	parts  [][]byte // of the key in hand
	rows   int64
	sum    billing.Money
	fault  string // the first

	totals []accountTotal // of the day, ascending; nil: events are not held against them
	of     accountTotal   // the account in hand, as its events add up; nothing without events
}

// accountTotal is what an account's events of a day come to.
type accountTotal struct {
	account billing.AccountID
	total   billing.Money
	events  int64
}

// table checks a file, given the positions of its tenant, its money and its key.
func (c *checker) table(fsys FS, name string, f File, schema *parquet.Schema, tenant, money int, key ...int) error {
	for batch, err := range readCells(fsys, name, f, schema, append([]int{tenant, money}, key...)...) {
		if err != nil {
			return err
		}
		c.batch(batch, tenant, money, key)
	}
	return nil
}

// events checks a file of events and the notes of its row groups.
func (c *checker) events(fsys FS, name string, f File, kept []bool) error {
	file, err := openHashed(fsys, name, f)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	opened, err := openTable(file, f, eventSchema)
	if err != nil {
		return err
	}
	notes, err := notesOf(opened)
	if err != nil {
		return err
	}
	tenant, money, key := 0, 8, []int{2, 1}
	d := newDecoder(eventSchema, append([]int{tenant, money}, key...))
	facts := newEventFacts()
	for i, group := range opened.RowGroups() {
		if i < len(kept) && kept[i] {
			c.keep(&notes[i])
		} else {
			rows, sum := c.rows, c.sum
			c.first = nil
			for batch, err := range d.decode(group) {
				if err != nil {
					return err
				}
				c.batch(batch, tenant, money, key)
			}
			if notes == nil {
				continue
			}
			of, _ := c.sum.Sub(sum)
			c.compare(i, &notes[i], c.rows-rows, of)
		}
		if err := facts.addNote(&notes[i]); err != nil {
			return err
		}
	}
	c.endAccount()
	if got := hex.EncodeToString(facts.digest[:]); len(notes) > 0 && got != f.Digest && c.fault == "" {
		c.fault = fmt.Sprintf("the digest of its row groups is %s instead of %s", got, f.Digest)
	}
	return nil
}

// compare holds the rows of a row group that were decoded against its note.
func (c *checker) compare(group int, n *groupNote, rows int64, sum billing.Money) {
	if c.fault != "" || c.last == nil {
		return
	}
	if first, last := string(c.first), string(c.last[0]); first != string(n.First) || last != string(n.Last) || rows != n.Rows || sum != n.Sum {
		c.fault = fmt.Sprintf("row group %d has %d rows, accounts %q to %q, sum %s; its note says %d, %q to %q, %s",
			group, rows, first, last, sum, n.Rows, n.First, n.Last, n.Sum)
	}
}

// keep takes a row group that was taken over for what its note says.
func (c *checker) keep(n *groupNote) {
	goesOn := c.kept && c.last != nil && string(c.last[0]) == string(n.First)+"\x00"
	if c.fault == "" && c.last != nil && !goesOn && string(c.last[0]) >= string(n.First) {
		c.fault = fmt.Sprintf("accounts %q to %q of row %d do not ascend", n.First, n.Last, c.rows+1)
	}
	c.endAccount()
	c.rows += n.Rows
	c.add(n.Sum)
	c.last, c.kept = [][]byte{[]byte(n.Last + "\x00"), nil}, true
}

// batch checks rows, given the positions of their tenant, their money and their key.
func (c *checker) batch(batch *cells, tenant, money int, key []int) {
	if c.parts == nil {
		c.parts = make([][]byte, len(key))
	}
	for i := range batch.rows {
		for k, column := range key {
			if batch.isDay(column) {
				c.parts[k] = []byte(billing.Day(batch.int32(column, i)).String())
			} else {
				c.parts[k] = batch.bytes(column, i)
			}
		}
		c.row(batch.bytes(tenant, i), c.parts...)
		m := batch.money(money, i)
		if c.add(m); c.totals != nil {
			c.ofAccount(c.parts[0], m)
		}
	}
}

// ofAccount adds an event to its account's. A sum that overflows is a fault of the file's, too.
func (c *checker) ofAccount(account []byte, m billing.Money) {
	if string(account) != string(c.of.account) {
		c.endAccount()
		c.of.account = billing.AccountID(account)
	}
	c.of.total, _ = c.of.total.Add(m)
	c.of.events++
}

// endAccount holds an account's events against its account-day.
func (c *checker) endAccount() {
	of := c.of
	if c.of = (accountTotal{}); of.events == 0 || c.fault != "" {
		return
	}
	at, found := slices.BinarySearchFunc(c.totals, of.account, func(t accountTotal, a billing.AccountID) int { return cmp.Compare(t.account, a) })
	if !found || c.totals[at] != of {
		c.fault = fmt.Sprintf("the events of account %q come to %s in %d, its account-day does not", of.account, of.total, of.events)
	}
}

// row checks a row's key.
func (c *checker) row(tenant []byte, key ...[]byte) {
	if c.rows++; c.fault != "" {
		return
	}
	if c.kept = false; c.first == nil {
		c.first = bytes.Clone(key[0])
	}
	if !bytes.Equal(tenant, c.tenant) {
		c.fault = fmt.Sprintf("row %d (%q) is of tenant %q", c.rows, key, tenant)
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
		c.fault = fmt.Sprintf("rows %d and %d have one key: %q", c.rows-1, c.rows, key)
	} else if order > 0 {
		c.fault = fmt.Sprintf("row %d (%q) does not ascend", c.rows, key)
	}
	for ; k < len(key); k++ {
		c.last[k] = append(c.last[k][:0], key[k]...)
	}
}

func (c *checker) add(m billing.Money) {
	sum, ok := c.sum.Add(m)
	if !ok && c.fault == "" {
		c.fault = fmt.Sprintf("the sum overflows at row %d", c.rows)
	}
	c.sum = sum
}

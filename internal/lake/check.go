package lake

import (
	"fmt"
	"slices"

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
		fault, err := s.checkFile(name, f)
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
// entries: bytes, rows, sums, order, uniqueness of keys, tenant, nulls. Each fault is one line.
func (b *Build) ReadBack() (faults []string, err error) {
	b.mu.Lock()
	written := slices.Clone(b.mu.written)
	b.mu.Unlock()
	slices.Sort(written)
	for _, name := range written {
		b.mu.Lock()
		f := b.mu.files[name]
		b.mu.Unlock()
		fault, err := b.series.checkFile(b.series.fs.PathJoin(b.dir, name), f)
		if err != nil {
			fault = err.Error()
		}
		if fault != "" {
			faults = append(faults, name+": "+fault)
		}
	}
	return faults, nil
}

// checkFile holds a file against its entry. A fault is in the rows; an error in the bytes or the disk.
func (s *Series) checkFile(name string, f File) (fault string, err error) {
	c := &checker{tenant: string(s.tenant)}
	switch f.Dataset {
	case Events:
		err = checkRows(s.fs, name, f, c, func(r *eventRecord) (string, *decimal, []string) {
			return r.Tenant, &r.Cost, []string{r.Account, r.Event}
		})
	case ServiceDays:
		err = checkRows(s.fs, name, f, c, func(r *serviceDayRecord) (string, *decimal, []string) {
			return r.Tenant, &r.Total, []string{r.Account, r.Service}
		})
	case AccountDays:
		err = checkRows(s.fs, name, f, c, func(r *accountDayRecord) (string, *decimal, []string) {
			return r.Tenant, &r.Total, []string{r.Account}
		})
	case Changes:
		err = checkRows(s.fs, name, f, c, func(r *changeRecord) (string, *decimal, []string) {
			return r.Tenant, &r.Delta, []string{billing.Day(r.Day).String(), r.Account}
		})
	default:
		_, err = readDimension(s.fs, name, f, dimensionKeys[f.Dataset], func(r DimRow) {
			c.row(string(r.Tenant), nil, []string{r.Key})
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
	tenant string
	last   []string
	rows   int64
	sum    billing.Money
	fault  string // the first
}

func (c *checker) row(tenant string, amount *decimal, key []string) {
	if c.fault != "" {
		return
	}
	if tenant != c.tenant {
		c.fault = fmt.Sprintf("row %d (%q) is of tenant %q", c.rows, key, tenant)
	}
	if slices.Contains(key, "") {
		c.fault = fmt.Sprintf("row %d has an empty key: %q", c.rows, key)
	}
	switch order := slices.Compare(c.last, key); {
	case c.rows > 0 && order == 0:
		c.fault = fmt.Sprintf("rows %d and %d have one key: %q", c.rows-1, c.rows, key)
	case c.rows > 0 && order > 0:
		c.fault = fmt.Sprintf("row %d (%q) does not ascend", c.rows, key)
	}
	c.last = append(c.last[:0], key...)
	c.rows++
	if amount != nil {
		sum, ok := c.sum.Add(amount.money())
		if !ok {
			c.fault = fmt.Sprintf("the sum overflows at row %d (%q)", c.rows-1, key)
		}
		c.sum = sum
	}
}

func checkRows[T any](fsys FS, name string, f File, c *checker, parts func(*T) (string, *decimal, []string)) error {
	for r, err := range readTable[T](fsys, name, f) {
		if err != nil {
			return err
		}
		c.row(parts(r))
	}
	return nil
}

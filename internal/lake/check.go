package lake

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"

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
	c := &checker{tenant: []byte(s.tenant)}
	switch f.Dataset {
	case Events:
		err = c.table(s.fs, name, f, eventSchema, 0, 8, 2, 1)
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
	last   [][]byte // the key before
	rows   int64
	sum    billing.Money
	fault  string // the first
}

// table checks a file, given the positions of its tenant, its money and its key.
func (c *checker) table(fsys FS, name string, f File, schema *parquet.Schema, tenant, money int, key ...int) error {
	parts := make([][]byte, len(key))
	for batch, err := range readCells(fsys, name, f, schema, append([]int{tenant, money}, key...)...) {
		if err != nil {
			return err
		}
		for i := range batch.rows {
			for k, column := range key {
				if v := batch.columns[column][i]; v.Kind() == parquet.Int32 {
					parts[k] = []byte(billing.Day(v.Int32()).String())
				} else {
					parts[k] = v.ByteArray()
				}
			}
			c.row(batch.bytes(tenant, i), parts...)
			c.add(batch.money(money, i))
		}
	}
	return nil
}

// row checks a row's key.
func (c *checker) row(tenant []byte, key ...[]byte) {
	if c.rows++; c.fault != "" {
		return
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
	} else if order := slices.CompareFunc(c.last, key, bytes.Compare); order == 0 {
		c.fault = fmt.Sprintf("rows %d and %d have one key: %q", c.rows-1, c.rows, key)
	} else if order > 0 {
		c.fault = fmt.Sprintf("row %d (%q) does not ascend", c.rows, key)
	}
	for k, part := range key {
		c.last[k] = append(c.last[k][:0], part...)
	}
}

func (c *checker) add(m billing.Money) {
	sum, ok := c.sum.Add(m)
	if !ok && c.fault == "" {
		c.fault = fmt.Sprintf("the sum overflows at row %d", c.rows)
	}
	c.sum = sum
}

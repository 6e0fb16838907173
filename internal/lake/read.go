package lake

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"time"

	"daybook/internal/billing"
	"daybook/internal/disk"
	"daybook/internal/parquet"
)

// ReadAccountDays reads a day's rows of daily_account_cost, after it has checked the file's hash. ErrDamaged.
func (s *Series) ReadAccountDays(m *Manifest, d billing.Day) ([]AccountDayRow, error) {
	var rows []AccountDayRow
	for _, f := range m.dayFiles(AccountDays, d) {
		err := s.readRows(m, f, accountDaySchema, func(c *parquet.ColumnBatch, i int) {
			row := AccountDayRow{
				Tenant: billing.TenantID(c.String(0, i)), Account: billing.AccountID(c.String(1, i)), Total: moneyOf(c.Decimal(2, i)),
				Complete: c.Bool(3, i), PublishedAt: time.UnixMicro(c.Int64(4, i)).UTC(), Revision: c.Int64(5, i),
				Previous: moneyOf(c.Decimal(6, i)), HasPrevious: !c.IsNull(6, i), Events: c.Int64(7, i),
			}
			rows = append(rows, row)
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// ReadServiceDays reads a day's rows of account_service_day_cost, after it has checked the file's hash. ErrDamaged.
func (s *Series) ReadServiceDays(m *Manifest, d billing.Day) ([]ServiceDayRow, error) {
	var rows []ServiceDayRow
	for _, f := range m.dayFiles(ServiceDays, d) {
		err := s.readRows(m, f, serviceDaySchema, func(c *parquet.ColumnBatch, i int) {
			rows = append(rows, ServiceDayRow{
				Tenant: billing.TenantID(c.String(0, i)), Account: billing.AccountID(c.String(1, i)),
				Service: billing.ServiceName(c.String(2, i)), Total: moneyOf(c.Decimal(3, i)), Events: c.Int64(4, i),
			})
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// ReadChanges reads the rows of account_day_changes that release n wrote, after it has checked the file's hash.
// ErrDamaged.
func (s *Series) ReadChanges(m *Manifest, n int) ([]ChangeRow, error) {
	var rows []ChangeRow
	for _, f := range m.filesOf(Changes) {
		if f.WrittenBy != n {
			continue
		}
		err := s.readRows(m, f, changeSchema, func(c *parquet.ColumnBatch, i int) {
			row := ChangeRow{
				Tenant: billing.TenantID(c.String(0, i)), Account: billing.AccountID(c.String(1, i)), Day: billing.Day(c.Int32(2, i)),
				Kind: ChangeKind(c.String(3, i)), Old: moneyOf(c.Decimal(5, i)), HasOld: !c.IsNull(5, i), New: moneyOf(c.Decimal(6, i)), HasNew: !c.IsNull(6, i),
				Delta: moneyOf(c.Decimal(7, i)),
			}
			if !c.IsNull(4, i) {
				row.Reasons = strings.Split(c.String(4, i), ",")
			}
			rows = append(rows, row)
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// ReadDimension reads a dimension: the names of the tenant's own columns, and the rows. ErrDamaged.
func (s *Series) ReadDimension(m *Manifest, ds Dataset) (columns []string, rows []DimRow, err error) {
	key, ok := dimensionKeys[ds]
	if !ok {
		return nil, nil, fmt.Errorf("read dimension: %s is not a dimension", ds)
	}
	for _, f := range m.filesOf(ds) {
		name, err := s.filePath(m.Release, f)
		if err != nil {
			return nil, nil, err
		}
		columns, err = readDimension(s.fs, name, f, key, func(r DimRow) { rows = append(rows, r) })
		if err != nil {
			return nil, nil, fmt.Errorf("read %s of release %d: %w", f.Path, m.Release, err)
		}
	}
	return columns, rows, nil
}

// readDimension reads a dimension's file, whose columns after the key are the tenant's. ErrDamaged.
func readDimension(fsys disk.FS, name string, f File, key string, take func(DimRow)) (extra []string, err error) {
	data, err := readHashed(fsys, name, f)
	if err != nil {
		return nil, err
	}
	file, err := parquet.Open(bytes.NewReader(data), f.Bytes)
	if err != nil {
		return nil, damaged(err)
	}
	columns := file.ColumnNames()
	if len(columns) < 2 || columns[0] != "tenant_id" || columns[1] != key {
		return nil, fmt.Errorf("%w: its columns are %v", ErrDamaged, columns)
	}
	extra = columns[2:]
	schema, err := dimensionSchema(f.Dataset, extra)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	for batch, err := range decodeColumns(file, f, schema, allColumns(schema)...) {
		if err != nil {
			return nil, err
		}
		for i := range batch.Rows {
			r := DimRow{Tenant: billing.TenantID(batch.String(0, i)), Key: batch.String(1, i), Extra: make([]*string, len(extra))}
			for j := range extra {
				if !batch.IsNull(2+j, i) {
					text := batch.String(2+j, i)
					r.Extra[j] = &text
				}
			}
			take(r)
		}
	}
	return extra, nil
}

// ReadEvents reads a file of normalized_billing_events after it has checked the file's hash. Memory is bounded by a few
// pages. Each row belongs to the caller. Times are truncated to microseconds; Op, source revision, digest and the
// topic's ordinal are not in the file. ErrDamaged.
func (s *Series) ReadEvents(m *Manifest, f File) iter.Seq2[*EventRow, error] {
	return s.readEvents(openHashed, m, f)
}

// ReadVerifiedEvents is ReadEvents without the hash, for a caller that has just verified the release: so each byte is
// read and hashed once.
func (s *Series) ReadVerifiedEvents(m *Manifest, f File) iter.Seq2[*EventRow, error] {
	return s.readEvents(openVerified, m, f)
}

func (s *Series) readEvents(open opener, m *Manifest, f File) iter.Seq2[*EventRow, error] {
	return func(yield func(*EventRow, error) bool) {
		fail := func(err error) { yield(nil, fmt.Errorf("read %s of release %d: %w", f.Path, m.Release, err)) }
		if f.Day == nil {
			fail(fmt.Errorf("%w: the manifest names no usage date", ErrDamaged))
			return
		}
		name, err := s.filePath(m.Release, f)
		if err != nil {
			fail(err)
			return
		}
		for c, err := range readColumns(open, s.fs, name, f, eventSchema, allColumns(eventSchema)...) {
			if err != nil {
				fail(err)
				return
			}
			for i := range c.Rows {
				if row := eventRow(c, i, *f.Day); !yield(&row, nil) {
					return
				}
			}
		}
	}
}

// eventRow returns row i of a batch of normalized_billing_events.
func eventRow(c *parquet.ColumnBatch, i int, d billing.Day) EventRow {
	row := EventRow{Topic: c.String(10, i), Event: billing.Event{
		Tenant: billing.TenantID(c.String(0, i)), ID: billing.EventID(c.String(1, i)), Account: billing.AccountID(c.String(2, i)),
		Service: billing.ServiceName(c.String(3, i)), Day: d, Region: billing.Region(c.String(4, i)),
		PricingModel: billing.PricingModel(c.String(5, i)), Category: billing.Category(c.String(6, i)),
		Period: billing.Period(c.String(7, i)), Cost: moneyOf(c.Decimal(8, i)), Attributes: c.String(14, i),
		Version: billing.Version{
			IngestedAt: billing.Instant(c.Int64(9, i) * 1000),
			Source:     billing.Source{Partition: c.Int32(11, i), Offset: c.Int64(12, i), RecordTime: -1},
		},
	}}
	if !c.IsNull(13, i) {
		row.Event.Version.Source.RecordTime = c.Int64(13, i) / 1000
	}
	return row
}

// readRows reads all columns of a file and calls take for each row.
func (s *Series) readRows(m *Manifest, f File, schema *parquet.Schema, take func(c *parquet.ColumnBatch, i int)) error {
	name, err := s.filePath(m.Release, f)
	if err != nil {
		return err
	}
	for c, err := range readColumns(openHashed, s.fs, name, f, schema, allColumns(schema)...) {
		if err != nil {
			return fmt.Errorf("read %s of release %d: %w", f.Path, m.Release, err)
		}
		for i := range c.Rows {
			take(c, i)
		}
	}
	return nil
}

// allColumns returns the positions of a schema's columns.
func allColumns(schema *parquet.Schema) []int {
	columns := make([]int, len(schema.Columns()))
	for i := range columns {
		columns[i] = i
	}
	return columns
}

// readHashed returns a file's bytes, after it has compared their number and hash with its entry. ErrDamaged.
func readHashed(fsys disk.FS, name string, f File) ([]byte, error) {
	data, err := disk.ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the file does not exist", ErrDamaged)
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	return data, sameBytes(int64(len(data)), sum[:], f)
}

// readColumns opens a file and decodes columns of it, in memory bounded by a few pages.
func readColumns(open opener, fsys disk.FS, name string, f File, schema *parquet.Schema, columns ...int) iter.Seq2[*parquet.ColumnBatch, error] {
	return func(yield func(*parquet.ColumnBatch, error) bool) {
		file, err := open(fsys, name, f)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = file.Close() }()
		opened, err := parquet.Open(file, f.Bytes)
		if err != nil {
			yield(nil, damaged(err))
			return
		}
		for batch, err := range decodeColumns(opened, f, schema, columns...) {
			if !yield(batch, err) {
				return
			}
		}
	}
}

// decodeColumns decodes columns of a file that is open, after it has compared the file with the schema and with its
// entry. After an error there is no further batch. ErrDamaged.
func decodeColumns(file *parquet.File, f File, schema *parquet.Schema, columns ...int) iter.Seq2[*parquet.ColumnBatch, error] {
	return func(yield func(*parquet.ColumnBatch, error) bool) {
		if err := checkTable(file, f, schema); err != nil {
			yield(nil, err)
			return
		}
		for batch, err := range file.Batches(columns...) {
			if !yield(batch, damaged(err)) || err != nil {
				return
			}
		}
	}
}

// checkTable checks that a file has the schema's columns and the entry's rows. ErrDamaged.
func checkTable(file *parquet.File, f File, schema *parquet.Schema) error {
	if err := file.CheckSchema(schema); err != nil {
		return damaged(err)
	}
	rows := int64(0)
	for i := range file.RowGroups() {
		rows += file.RowGroupRows(i)
	}
	if rows != f.Rows || file.Rows() != f.Rows {
		return fmt.Errorf("%w: %d rows instead of %d", ErrDamaged, rows, f.Rows)
	}
	return nil
}

// damaged makes ErrDamaged of parquet.ErrCorrupt. Other errors, and nil, stay as they are.
func damaged(err error) error {
	if errors.Is(err, parquet.ErrCorrupt) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// opener opens a file of a release. The file is the caller's.
type opener func(fsys disk.FS, name string, f File) (disk.File, error)

// openVerified opens a file whose hash was checked just before. ErrDamaged if the file does not exist.
func openVerified(fsys disk.FS, name string, _ File) (disk.File, error) {
	file, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the file does not exist", ErrDamaged)
	}
	return file, err
}

// openHashed opens a file after it has compared the number and the hash of its bytes with its entry. ErrDamaged.
func openHashed(fsys disk.FS, name string, f File) (disk.File, error) {
	file, err := openVerified(fsys, name, f)
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	size, err := io.CopyBuffer(hash, struct{ io.Reader }{file}, make([]byte, min(f.Bytes+1, 256<<10)))
	if err == nil {
		err = sameBytes(size, hash.Sum(nil), f)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// sameBytes compares the number and the SHA-256 of bytes with a file's entry. ErrDamaged.
func sameBytes(size int64, sum []byte, f File) error {
	if size != f.Bytes {
		return fmt.Errorf("%w: %d bytes instead of %d", ErrDamaged, size, f.Bytes)
	}
	if got := hex.EncodeToString(sum); got != f.SHA256 {
		return fmt.Errorf("%w: SHA-256 %s instead of %s", ErrDamaged, got, f.SHA256)
	}
	return nil
}

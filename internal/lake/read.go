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

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/parquet-go/parquet-go"

	"daybook/internal/billing"
)

// ReadAccountDays reads a day's daily_account_cost from a release, its hash checked first.
func (s *Series) ReadAccountDays(m *Manifest, d billing.Day) ([]AccountDayRow, error) {
	var rows []AccountDayRow
	for _, f := range m.dayFiles(AccountDays, d) {
		err := s.readSmall(m, f, accountDaySchema, func(c *cells, i int) {
			row := AccountDayRow{
				Tenant: billing.TenantID(c.text(0, i)), Account: billing.AccountID(c.text(1, i)), Total: c.money(2, i),
				Complete: c.bool(3, i), PublishedAt: time.UnixMicro(c.int64(4, i)).UTC(), Revision: c.int64(5, i),
				Previous: c.money(6, i), HasPrevious: !c.null(6, i), Events: c.int64(7, i),
			}
			rows = append(rows, row)
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// ReadServiceDays reads a day's account_service_day_cost, its hash checked first.
func (s *Series) ReadServiceDays(m *Manifest, d billing.Day) ([]ServiceDayRow, error) {
	var rows []ServiceDayRow
	for _, f := range m.dayFiles(ServiceDays, d) {
		err := s.readSmall(m, f, serviceDaySchema, func(c *cells, i int) {
			rows = append(rows, ServiceDayRow{
				Tenant: billing.TenantID(c.text(0, i)), Account: billing.AccountID(c.text(1, i)),
				Service: billing.ServiceName(c.text(2, i)), Total: c.money(3, i), Events: c.int64(4, i),
			})
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// ReadChanges reads the ledger rows that release n wrote.
func (s *Series) ReadChanges(m *Manifest, n int) ([]ChangeRow, error) {
	var rows []ChangeRow
	for _, f := range m.filesOf(Changes) {
		if f.WrittenBy != n {
			continue
		}
		err := s.readSmall(m, f, changeSchema, func(c *cells, i int) {
			row := ChangeRow{
				Tenant: billing.TenantID(c.text(0, i)), Account: billing.AccountID(c.text(1, i)), Day: billing.Day(c.int32(2, i)),
				Kind: ChangeKind(c.text(3, i)), Old: c.money(5, i), HasOld: !c.null(5, i), New: c.money(6, i), HasNew: !c.null(6, i),
				Delta: c.money(7, i),
			}
			if !c.null(4, i) {
				row.Reasons = strings.Split(c.text(4, i), ",")
			}
			rows = append(rows, row)
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// ReadDimension reads a dimension: its own columns' names, and its rows.
func (s *Series) ReadDimension(m *Manifest, ds Dataset) (columns []string, rows []DimRow, err error) {
	key, ok := dimensionKeys[ds]
	if !ok {
		return nil, nil, fmt.Errorf("read dimension: %s is none", ds)
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

// readDimension reads a dimension's file, whose columns after the key are the tenant's.
func readDimension(fsys FS, name string, f File, key string, take func(DimRow)) (columns []string, err error) {
	data, err := readHashed(fsys, name, f)
	if err != nil {
		return nil, err
	}
	err = guarded(func() error {
		file, err := parquet.OpenFile(bytes.NewReader(data), f.Bytes)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		for _, path := range file.Schema().Columns() {
			columns = append(columns, strings.Join(path, "."))
		}
		if len(columns) < 2 || columns[0] != "tenant_id" || columns[1] != key {
			return fmt.Errorf("%w: its columns are %v", ErrDamaged, columns)
		}
		columns = columns[2:]
		n := int64(0)
		for _, group := range file.RowGroups() {
			if err := eachRow(group, func(row parquet.Row) {
				r := DimRow{Tenant: billing.TenantID(row[0].String()), Key: row[1].String(), Extra: make([]*string, len(columns))}
				for i, v := range row[2:] {
					if !v.IsNull() {
						text := v.String()
						r.Extra[i] = &text
					}
				}
				take(r)
				n++
			}); err != nil {
				return err
			}
		}
		if n != f.Rows {
			return fmt.Errorf("%w: %d rows instead of %d", ErrDamaged, n, f.Rows)
		}
		return nil
	})
	return columns, err
}

// ReadEvents reads a file of normalized_billing_events, its hash checked first, in memory bounded
// by a few pages. Each row is the caller's. Times are truncated to microseconds; Op, source
// revision, digest and the topic's ordinal are not in the file.
func (s *Series) ReadEvents(m *Manifest, f File) iter.Seq2[*EventRow, error] {
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
		for c, err := range readCells(s.fs, name, f, eventSchema, eventColumns...) {
			if err != nil {
				fail(err)
				return
			}
			for i := range c.rows {
				if row := c.event(*f.Day, i); !yield(&row, nil) {
					return
				}
			}
		}
	}
}

// eventColumns are all columns of eventSchema.
var eventColumns = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}

// event is a row of normalized_billing_events.
func (c *cells) event(d billing.Day, i int) EventRow {
	row := EventRow{Topic: c.text(10, i), Event: billing.Event{
		Tenant: billing.TenantID(c.text(0, i)), ID: billing.EventID(c.text(1, i)), Account: billing.AccountID(c.text(2, i)),
		Service: billing.ServiceName(c.text(3, i)), Day: d, Region: billing.Region(c.text(4, i)),
		PricingModel: billing.PricingModel(c.text(5, i)), Category: billing.Category(c.text(6, i)),
		Period: billing.Period(c.text(7, i)), Cost: c.money(8, i), Attributes: c.text(14, i),
		Version: billing.Version{
			IngestedAt: billing.Instant(c.int64(9, i) * 1000),
			Source:     billing.Source{Partition: c.int32(11, i), Offset: c.int64(12, i), RecordTime: -1},
		},
	}}
	if !c.null(13, i) {
		row.Event.Version.Source.RecordTime = c.int64(13, i) / 1000
	}
	return row
}

// readSmall reads all rows of a file.
func (s *Series) readSmall(m *Manifest, f File, schema *parquet.Schema, take func(c *cells, i int)) error {
	name, err := s.filePath(m.Release, f)
	if err != nil {
		return err
	}
	columns := make([]int, len(schema.Columns()))
	for i := range columns {
		columns[i] = i
	}
	for c, err := range readCells(s.fs, name, f, schema, columns...) {
		if err != nil {
			return fmt.Errorf("read %s of release %d: %w", f.Path, m.Release, err)
		}
		for i := range c.rows {
			take(c, i)
		}
	}
	return nil
}

// readHashed is a file's bytes, when they are those that the manifest names; else ErrDamaged.
func readHashed(fsys FS, name string, f File) ([]byte, error) {
	data, err := readFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: it is gone", ErrDamaged)
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	return data, sameBytes(int64(len(data)), sum[:], f)
}

// readCells checks a file's hash, then decodes columns of it, in memory bounded by a few pages.
func readCells(fsys FS, name string, f File, schema *parquet.Schema, columns ...int) iter.Seq2[*cells, error] {
	return func(yield func(*cells, error) bool) {
		file, err := openHashed(fsys, name, f)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = file.Close() }()
		for c, err := range decodeCells(file, f, schema, columns...) {
			if !yield(c, err) {
				return
			}
		}
	}
}

// openHashed opens a file whose bytes are those that the manifest names; else ErrDamaged.
func openHashed(fsys FS, name string, f File) (vfs.File, error) {
	file, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: it is gone", ErrDamaged)
	}
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

func sameBytes(size int64, sum []byte, f File) error {
	if size != f.Bytes {
		return fmt.Errorf("%w: %d bytes instead of %d", ErrDamaged, size, f.Bytes)
	}
	if got := hex.EncodeToString(sum); got != f.SHA256 {
		return fmt.Errorf("%w: SHA-256 %s instead of %s", ErrDamaged, got, f.SHA256)
	}
	return nil
}

// readBatch is how many rows of any schema are decoded at once.
const readBatch = 1024

// eachRow decodes a row group of any schema.
func eachRow(group parquet.RowGroup, take func(parquet.Row)) error {
	rows := group.Rows()
	defer func() { _ = rows.Close() }()
	batch := make([]parquet.Row, readBatch)
	for {
		n, err := rows.ReadRows(batch)
		for _, row := range batch[:n] {
			take(row)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

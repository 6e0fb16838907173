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

	"github.com/parquet-go/parquet-go"

	"daybook/internal/billing"
)

// readBatch is how many rows are decoded at once.
const readBatch = 1024

// ReadAccountDays reads a day's daily_account_cost from a release, its hash checked first.
func (s *Series) ReadAccountDays(m *Manifest, d billing.Day) ([]AccountDayRow, error) {
	var rows []AccountDayRow
	for _, f := range m.filesOf(AccountDays, d.String()) {
		err := readSmall(s, m, f, func(r *accountDayRecord) {
			row := AccountDayRow{
				Tenant: billing.TenantID(r.Tenant), Account: billing.AccountID(r.Account), Total: r.Total.money(),
				Complete: r.Complete, PublishedAt: time.UnixMicro(r.PublishedAt).UTC(), Revision: r.Revision, Events: r.Events,
			}
			if r.Previous != nil {
				row.Previous, row.HasPrevious = r.Previous.money(), true
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
	for _, f := range m.filesOf(ServiceDays, d.String()) {
		err := readSmall(s, m, f, func(r *serviceDayRecord) {
			rows = append(rows, ServiceDayRow{
				Tenant: billing.TenantID(r.Tenant), Account: billing.AccountID(r.Account), Service: billing.ServiceName(r.Service),
				Total: r.Total.money(), Events: r.Events,
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
	for _, f := range m.filesOf(Changes, "") {
		if f.WrittenBy != n {
			continue
		}
		err := readSmall(s, m, f, func(r *changeRecord) {
			row := ChangeRow{
				Tenant: billing.TenantID(r.Tenant), Account: billing.AccountID(r.Account), Day: billing.Day(r.Day),
				Kind: ChangeKind(r.Kind), Delta: r.Delta.money(),
			}
			if r.Reasons != "" {
				row.Reasons = strings.Split(r.Reasons, ",")
			}
			if r.Old != nil {
				row.Old, row.HasOld = r.Old.money(), true
			}
			if r.New != nil {
				row.New, row.HasNew = r.New.money(), true
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
	for _, f := range m.filesOf(ds, "") {
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
		day, err := billing.ParseDay(f.Day)
		if err != nil {
			fail(err)
			return
		}
		name, err := s.filePath(m.Release, f)
		if err != nil {
			fail(err)
			return
		}
		for r, err := range readTable[eventRecord](s.fs, name, f) {
			if err != nil {
				fail(err)
				return
			}
			row := r.row(day)
			if !yield(&row, nil) {
				return
			}
		}
	}
}

// readSmall reads a file that fits in memory.
func readSmall[T any](s *Series, m *Manifest, f File, take func(*T)) error {
	name, err := s.filePath(m.Release, f)
	if err != nil {
		return err
	}
	data, err := readHashed(s.fs, name, f)
	if err != nil {
		return fmt.Errorf("read %s of release %d: %w", f.Path, m.Release, err)
	}
	for r, err := range decodeTable[T](bytes.NewReader(data), f) {
		if err != nil {
			return fmt.Errorf("read %s of release %d: %w", f.Path, m.Release, err)
		}
		take(r)
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

// readTable checks a file's hash, then decodes its rows in one streaming pass. A row is valid until
// the next.
func readTable[T any](fsys FS, name string, f File) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		file, err := fsys.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: it is gone", ErrDamaged)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = file.Close() }()
		hash := sha256.New()
		size, err := io.Copy(hash, struct{ io.Reader }{file})
		if err == nil {
			err = sameBytes(size, hash.Sum(nil), f)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		for r, err := range decodeTable[T](file, f) {
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
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

// decodeTable decodes the rows of a file. A row is valid until the next. Damage that got past the
// hash can make parquet-go panic; that becomes ErrDamaged.
func decodeTable[T any](file io.ReaderAt, f File) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		var reader *parquet.GenericReader[T]
		err := guarded(func() error {
			opened, err := parquet.OpenFile(file, f.Bytes, parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true))
			if err != nil {
				return fmt.Errorf("%w: %w", ErrDamaged, err)
			}
			reader = parquet.NewGenericReader[T](opened)
			return nil
		})
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = reader.Close() }()
		// No more rows than there are: at the end, parquet-go looks for a page once a missing row and column.
		batch := make([]T, min(readBatch, f.Rows+1))
		rows := int64(0)
		for {
			var n int
			var end bool
			err := guarded(func() error {
				clear(batch)
				var err error
				n, err = reader.Read(batch)
				if end = errors.Is(err, io.EOF); end {
					err = nil
				}
				return err
			})
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range batch[:n] {
				if !yield(&batch[i], nil) {
					return
				}
			}
			if rows += int64(n); end {
				break
			}
		}
		if rows != f.Rows {
			yield(nil, fmt.Errorf("%w: %d rows instead of %d", ErrDamaged, rows, f.Rows))
		}
	}
}

// guarded runs a call into parquet-go on bytes from disk.
func guarded(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: the Parquet decoder panicked: %v", ErrDamaged, p)
		}
	}()
	return call()
}

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

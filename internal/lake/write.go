package lake

import (
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"daybook/internal/billing"
	"daybook/internal/parquet"
)

// Segment is a part of a file of events: either rows, or row groups that are copied from a released file.
type Segment struct {
	Rows   iter.Seq2[*EventRow, error]
	Reused *ReusedRowGroups // instead of Rows
}

// WriteEvents writes one file of a day's events and returns its manifest entry. part counts the day's files from 0.
// Rows ascend by account and event id, and an account is in one segment only. The bytes are the same whether row
// groups are reused or their rows are written again. Memory is bounded by a row group.
func (b *Build) WriteEvents(d billing.Day, part int, segments ...Segment) (File, error) {
	f := File{Dataset: Events, Day: &d, Path: b.dayPath(Events, d, part)}
	var reused []bool
	f, err := b.writeFile(f, eventSchema, func(file *fileWriter, f *File) error {
		w := eventWriter{build: b, day: d, file: file}
		w.groups = rowGroupSplitter{limit: rowGroupRows, write: w.writeRowGroup}
		for i, s := range segments {
			if s.Reused != nil {
				if err := w.copyRowGroups(s.Reused); err != nil {
					return err
				}
				continue
			}
			if err := w.writeRows(s.Rows); err != nil {
				return err
			}
			if next := i + 1; next == len(segments) {
				if err := w.groups.finish(); err != nil {
					return err
				}
			} else if r := segments[next].Reused; r != nil {
				if err := w.groups.finishBefore(r.cut.First); err != nil {
					return err
				}
			}
		}
		reused = w.reused
		return w.finish(f)
	})
	if err == nil {
		b.mu.Lock()
		b.mu.written[f.Path] = reused
		b.mu.Unlock()
	}
	return f, err
}

// errTooManyRows ends the file of WriteWholeDay.
var errTooManyRows = errors.New("more rows than a file holds")

// WriteWholeDay writes a day's events as one file, which is the one that WriteEvents writes of the same rows. Where
// there are more than limit rows, or none, whole is false and there is no file.
func (b *Build) WriteWholeDay(d billing.Day, limit int64, rows iter.Seq2[*EventRow, error]) (f File, whole bool, err error) {
	n := int64(0)
	f, err = b.WriteEvents(d, 0, Segment{Rows: func(yield func(*EventRow, error) bool) {
		for row, err := range rows {
			if n++; n > limit && err == nil {
				row, err = nil, errTooManyRows
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}})
	if errors.Is(err, errTooManyRows) || err == nil && n == 0 {
		return File{}, false, b.drop(b.dayPath(Events, d, 0))
	}
	return f, err == nil, err
}

// WriteServiceDays writes a day's rows of account_service_day_cost, ascending by account and service.
func (b *Build) WriteServiceDays(d billing.Day, rows []ServiceDayRow) (File, error) {
	f := File{Dataset: ServiceDays, Day: &d, Path: b.dayPath(ServiceDays, d, 0)}
	return b.writeFile(f, serviceDaySchema, func(w *fileWriter, f *File) error {
		for i := range rows {
			r := &rows[i]
			if err := b.checkKey(r.Tenant, string(r.Account), string(r.Service)); err != nil {
				return err
			}
			if i > 0 && !ascends([2]string{string(rows[i-1].Account), string(rows[i-1].Service)}, [2]string{string(r.Account), string(r.Service)}) {
				return fmt.Errorf("row %d is not in ascending order: account %q, service %q", i, r.Account, r.Service)
			}
			if err := w.addToSum(r.Total); err != nil {
				return err
			}
			c := w.Columns()
			c[0].AppendString(string(r.Tenant))
			c[1].AppendString(string(r.Account))
			c[2].AppendString(string(r.Service))
			c[3].AppendDecimal(decimalOf(r.Total))
			c[4].AppendInt64(r.Events)
			if err := w.EndRow(); err != nil {
				return err
			}
		}
		if len(rows) > 0 {
			f.First, f.Last = rows[0].Account, rows[len(rows)-1].Account
		}
		return nil
	})
}

// WriteAccountDays writes a day's rows of daily_account_cost, ascending by account.
func (b *Build) WriteAccountDays(d billing.Day, rows []AccountDayRow) (File, error) {
	f := File{Dataset: AccountDays, Day: &d, Path: b.dayPath(AccountDays, d, 0)}
	return b.writeFile(f, accountDaySchema, func(w *fileWriter, f *File) error {
		totals := make([]accountTotal, len(rows))
		for i := range rows {
			r := &rows[i]
			if err := b.checkKey(r.Tenant, string(r.Account)); err != nil {
				return err
			}
			if i > 0 && rows[i-1].Account >= r.Account {
				return fmt.Errorf("row %d is not in ascending order: account %q", i, r.Account)
			}
			if err := w.addToSum(r.Total); err != nil {
				return err
			}
			c := w.Columns()
			c[0].AppendString(string(r.Tenant))
			c[1].AppendString(string(r.Account))
			c[2].AppendDecimal(decimalOf(r.Total))
			c[3].AppendBool(r.Complete)
			c[4].AppendInt64(r.PublishedAt.UnixMicro())
			c[5].AppendInt64(r.Revision)
			appendMoneyOrNull(c[6], r.Previous, r.HasPrevious)
			c[7].AppendInt64(r.Events)
			if err := w.EndRow(); err != nil {
				return err
			}
			totals[i] = accountTotal{r.Account, r.Total, r.Events}
		}
		b.mu.Lock()
		b.mu.days[d] = totals
		b.mu.Unlock()
		if len(rows) > 0 {
			f.First, f.Last = rows[0].Account, rows[len(rows)-1].Account
		}
		return nil
	})
}

// WriteChanges writes this release's rows of account_day_changes, ascending by day and account.
func (b *Build) WriteChanges(rows []ChangeRow) (File, error) {
	f := File{Dataset: Changes, Path: path.Join(string(Changes), "release="+number(b.n), b.partName(0))}
	return b.writeFile(f, changeSchema, func(w *fileWriter, _ *File) error {
		for i := range rows {
			r := &rows[i]
			if err := b.checkKey(r.Tenant, string(r.Account), string(r.Kind)); err != nil {
				return err
			}
			if i > 0 && (rows[i-1].Day > r.Day || rows[i-1].Day == r.Day && rows[i-1].Account >= r.Account) {
				return fmt.Errorf("row %d is not in ascending order: %s, account %q", i, r.Day, r.Account)
			}
			if err := w.addToSum(r.Delta); err != nil {
				return err
			}
			c := w.Columns()
			c[0].AppendString(string(r.Tenant))
			c[1].AppendString(string(r.Account))
			c[2].AppendInt32(int32(r.Day))
			c[3].AppendString(string(r.Kind))
			c[4].AppendStringOrNull(strings.Join(r.Reasons, ","))
			appendMoneyOrNull(c[5], r.Old, r.HasOld)
			appendMoneyOrNull(c[6], r.New, r.HasNew)
			c[7].AppendDecimal(decimalOf(r.Delta))
			if err := w.EndRow(); err != nil {
				return err
			}
		}
		return nil
	})
}

// WriteDimension writes a dimension's rows, ascending by key. columns are the names of DimRow.Extra.
func (b *Build) WriteDimension(ds Dataset, columns []string, rows []DimRow) (File, error) {
	schema, err := dimensionSchema(ds, columns)
	if err != nil {
		return File{}, fmt.Errorf("write dimension: %w", err)
	}
	f := File{Dataset: ds, Path: path.Join(string(ds), b.partName(0))}
	return b.writeFile(f, schema, func(w *fileWriter, _ *File) error {
		for i := range rows {
			r := &rows[i]
			if err := b.checkKey(r.Tenant, r.Key); err != nil {
				return err
			}
			if i > 0 && rows[i-1].Key >= r.Key {
				return fmt.Errorf("row %d is not in ascending order: %q", i, r.Key)
			}
			if len(r.Extra) != len(columns) {
				return fmt.Errorf("row %d (%q) has %d columns instead of %d", i, r.Key, len(r.Extra), len(columns))
			}
			c := w.Columns()
			c[0].AppendString(string(r.Tenant))
			c[1].AppendString(r.Key)
			for j, value := range r.Extra {
				if value == nil {
					c[2+j].AppendNull()
				} else {
					c[2+j].AppendString(*value)
				}
			}
			if err := w.EndRow(); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeFile writes one file, which fill fills, and records its entry.
func (b *Build) writeFile(f File, schema *parquet.Schema, fill func(*fileWriter, *File) error) (File, error) {
	f.WrittenBy = b.n
	name, err := b.claim(f.Path)
	if err != nil {
		return File{}, fmt.Errorf("write %s: %w", f.Path, err)
	}
	w, err := newFileWriter(b.series.fs, name, schema)
	if err != nil {
		return File{}, fmt.Errorf("write %s: %w", f.Path, err)
	}
	if err := fill(w, &f); err != nil {
		w.abandon()
		return File{}, fmt.Errorf("write %s: %w", f.Path, err)
	}
	if err := w.finish(b, &f); err != nil {
		return File{}, fmt.Errorf("write %s: %w", f.Path, err)
	}
	if _, dimension := dimensionKeys[f.Dataset]; !dimension {
		sum := w.sum
		f.Sum = &sum
	}
	b.record(f)
	b.mu.Lock()
	b.mu.written[f.Path] = nil
	b.mu.Unlock()
	return f, nil
}

// dayPath returns where a part of a day's dataset is in the release.
func (b *Build) dayPath(ds Dataset, d billing.Day, part int) string {
	return path.Join(string(ds), "usage_date="+d.String(), b.partName(part))
}

// partName returns a file name that is unique in the series: it contains the number of the release that writes it.
func (b *Build) partName(part int) string {
	return fmt.Sprintf("part-%s-%d.parquet", number(b.n), part)
}

// checkKey returns an error for a row of another tenant and for an empty part of a key.
func (b *Build) checkKey(t billing.TenantID, key ...string) error {
	if t != b.series.tenant {
		return fmt.Errorf("row %q belongs to tenant %q, not to %q", slices.Clone(key), t, b.series.tenant)
	}
	if slices.Contains(key, "") {
		return fmt.Errorf("row %q has an empty key", slices.Clone(key)) // a clone, so that key need not be on the heap
	}
	return nil
}

// ascends reports whether key b is greater than key a.
func ascends(a, b [2]string) bool { return a[0] < b[0] || a[0] == b[0] && a[1] < b[1] }

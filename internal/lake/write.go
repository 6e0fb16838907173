package lake

import (
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"daybook/internal/billing"
)

// Segment is a part of a file of events: rows, or row groups of a released file in their place.
type Segment struct {
	Rows   iter.Seq2[*EventRow, error]
	Reused *ReusedRowGroups // instead of Rows
}

// WriteEvents writes one file of a day's events, part numbers from 0, and returns its manifest entry.
// Rows must be ascending by account and event id, and an account may not go on from one segment to the
// next. The bytes are the same whether row groups are taken over or written. Memory is bounded by a row group.
func (b *Build) WriteEvents(d billing.Day, part int, segments ...Segment) (File, error) {
	f := File{Dataset: Events, Day: &d, Path: b.dayPath(Events, d, part)}
	var kept []bool
	f, err := write(b, f, eventLayout, func(t *table, f *File) error {
		w := eventWriter{build: b, day: d, table: t}
		w.groups = rowGroups{limit: rowGroupRows, write: w.group}
		for i, s := range segments {
			if s.Reused != nil {
				if err := w.keep(s.Reused); err != nil {
					return err
				}
				continue
			}
			if err := w.rows(s.Rows); err != nil {
				return err
			}
			if next := i + 1; next == len(segments) {
				if err := w.groups.finish(); err != nil {
					return err
				}
			} else if k := segments[next].Reused; k != nil {
				if err := w.groups.finishBefore(k.cut.First); err != nil {
					return err
				}
			}
		}
		kept = w.kept
		return w.close(f)
	})
	if err == nil {
		b.mu.Lock()
		b.mu.written[f.Path] = kept
		b.mu.Unlock()
	}
	return f, err
}

// errNotWhole ends a file that is not to hold a part of a day.
var errNotWhole = errors.New("more rows than a file holds")

// WriteWholeDay writes a day's events as one file of at most limit rows. Where there are more, or none, whole is
// false and the file is as if never begun. Else it is what WriteEvents makes of the same rows.
func (b *Build) WriteWholeDay(d billing.Day, limit int64, rows iter.Seq2[*EventRow, error]) (f File, whole bool, err error) {
	n := int64(0)
	f, err = b.WriteEvents(d, 0, Segment{Rows: func(yield func(*EventRow, error) bool) {
		for row, err := range rows {
			if n++; n > limit && err == nil {
				row, err = nil, errNotWhole
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}})
	if errors.Is(err, errNotWhole) || err == nil && n == 0 {
		return File{}, false, b.drop(b.dayPath(Events, d, 0))
	}
	return f, err == nil, err
}

// WriteServiceDays writes a day's service-days, ascending by account and service.
func (b *Build) WriteServiceDays(d billing.Day, rows []ServiceDayRow) (File, error) {
	f := File{Dataset: ServiceDays, Day: &d, Path: b.dayPath(ServiceDays, d, 0)}
	return write(b, f, serviceDayLayout, func(t *table, f *File) error {
		for i := range rows {
			r := &rows[i]
			if err := b.checkKey(r.Tenant, string(r.Account), string(r.Service)); err != nil {
				return err
			}
			if i > 0 && !ascends([2]string{string(rows[i-1].Account), string(rows[i-1].Service)}, [2]string{string(r.Account), string(r.Service)}) {
				return fmt.Errorf("row %d does not ascend: account %q, service %q", i, r.Account, r.Service)
			}
			if err := t.add(r.Total); err != nil {
				return err
			}
			c := t.columns
			c[0].text(string(r.Tenant))
			c[1].text(string(r.Account))
			c[2].text(string(r.Service))
			c[3].money(r.Total)
			c[4].int64(r.Events)
			if err := t.endRow(); err != nil {
				return err
			}
		}
		if len(rows) > 0 {
			f.First, f.Last = rows[0].Account, rows[len(rows)-1].Account
		}
		return nil
	})
}

// WriteAccountDays writes a day's account-days, ascending by account.
func (b *Build) WriteAccountDays(d billing.Day, rows []AccountDayRow) (File, error) {
	f := File{Dataset: AccountDays, Day: &d, Path: b.dayPath(AccountDays, d, 0)}
	return write(b, f, accountDayLayout, func(t *table, f *File) error {
		totals := make([]accountTotal, len(rows))
		for i := range rows {
			r := &rows[i]
			if err := b.checkKey(r.Tenant, string(r.Account)); err != nil {
				return err
			}
			if i > 0 && rows[i-1].Account >= r.Account {
				return fmt.Errorf("row %d does not ascend: account %q", i, r.Account)
			}
			if err := t.add(r.Total); err != nil {
				return err
			}
			c := t.columns
			c[0].text(string(r.Tenant))
			c[1].text(string(r.Account))
			c[2].money(r.Total)
			c[3].bool(r.Complete)
			c[4].int64(r.PublishedAt.UnixMicro())
			c[5].int64(r.Revision)
			c[6].moneyOrNull(r.Previous, r.HasPrevious)
			c[7].int64(r.Events)
			if err := t.endRow(); err != nil {
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

// WriteChanges writes this release's ledger, ascending by day and account.
func (b *Build) WriteChanges(rows []ChangeRow) (File, error) {
	f := File{Dataset: Changes, Path: path.Join(string(Changes), "release="+number(b.n), b.partName(0))}
	return write(b, f, changeLayout, func(t *table, _ *File) error {
		for i := range rows {
			r := &rows[i]
			if err := b.checkKey(r.Tenant, string(r.Account), string(r.Kind)); err != nil {
				return err
			}
			if i > 0 && (rows[i-1].Day > r.Day || rows[i-1].Day == r.Day && rows[i-1].Account >= r.Account) {
				return fmt.Errorf("row %d does not ascend: %s, account %q", i, r.Day, r.Account)
			}
			if err := t.add(r.Delta); err != nil {
				return err
			}
			c := t.columns
			c[0].text(string(r.Tenant))
			c[1].text(string(r.Account))
			c[2].int32(int32(r.Day))
			c[3].text(string(r.Kind))
			c[4].textOrNull(strings.Join(r.Reasons, ","))
			c[5].moneyOrNull(r.Old, r.HasOld)
			c[6].moneyOrNull(r.New, r.HasNew)
			c[7].money(r.Delta)
			if err := t.endRow(); err != nil {
				return err
			}
		}
		return nil
	})
}

// WriteDimension writes a dimension, ascending by key; columns name Extra.
func (b *Build) WriteDimension(ds Dataset, columns []string, rows []DimRow) (File, error) {
	schema, err := dimensionSchema(ds, columns)
	if err != nil {
		return File{}, fmt.Errorf("write dimension: %w", err)
	}
	f := File{Dataset: ds, Path: path.Join(string(ds), b.partName(0))}
	return write(b, f, layoutOf(schema), func(t *table, _ *File) error {
		for i := range rows {
			r := &rows[i]
			if err := b.checkKey(r.Tenant, r.Key); err != nil {
				return err
			}
			if i > 0 && rows[i-1].Key >= r.Key {
				return fmt.Errorf("row %d does not ascend: %q", i, r.Key)
			}
			if len(r.Extra) != len(columns) {
				return fmt.Errorf("row %d (%q) has %d columns instead of %d", i, r.Key, len(r.Extra), len(columns))
			}
			t.columns[0].text(string(r.Tenant))
			t.columns[1].text(r.Key)
			for j, value := range r.Extra {
				if c := t.columns[2+j]; value == nil {
					c.null()
				} else {
					c.text(*value)
				}
			}
			if err := t.endRow(); err != nil {
				return err
			}
		}
		return nil
	})
}

// write makes one file: its table is filled by fill.
func write(b *Build, f File, layout func() (*layout, error), fill func(*table, *File) error) (File, error) {
	f.WrittenBy = b.n
	l, err := layout()
	if err != nil {
		return File{}, fmt.Errorf("write %s: %w", f.Path, err)
	}
	name, err := b.claim(f.Path)
	if err != nil {
		return File{}, fmt.Errorf("write %s: %w", f.Path, err)
	}
	t, err := newTable(b.series.fs, name, l)
	if err != nil {
		return File{}, fmt.Errorf("write %s: %w", f.Path, err)
	}
	if err := fill(t, &f); err != nil {
		t.abandon()
		return File{}, fmt.Errorf("write %s: %w", f.Path, err)
	}
	if err := t.close(b, &f); err != nil {
		return File{}, fmt.Errorf("write %s: %w", f.Path, err)
	}
	if _, dimension := dimensionKeys[f.Dataset]; !dimension {
		sum := t.sum
		f.Sum = &sum
	}
	b.record(f)
	b.mu.Lock()
	b.mu.written[f.Path] = nil
	b.mu.Unlock()
	return f, nil
}

// dayPath is where part of a day's dataset lies in the release.
func (b *Build) dayPath(ds Dataset, d billing.Day, part int) string {
	return path.Join(string(ds), "usage_date="+d.String(), b.partName(part))
}

// partName is unique in the series: it names the release that writes it.
func (b *Build) partName(part int) string {
	return fmt.Sprintf("part-%s-%d.parquet", number(b.n), part)
}

// checkKey refuses another tenant's row and an empty key.
func (b *Build) checkKey(t billing.TenantID, key ...string) error {
	if t != b.series.tenant {
		return fmt.Errorf("a row %q is of tenant %q, not %q", slices.Clone(key), t, b.series.tenant)
	}
	if slices.Contains(key, "") {
		return fmt.Errorf("a row has an empty key: %q", slices.Clone(key)) // so that key need not be on the heap
	}
	return nil
}

// ascends reports whether key b follows key a.
func ascends(a, b [2]string) bool { return a[0] < b[0] || a[0] == b[0] && a[1] < b[1] }

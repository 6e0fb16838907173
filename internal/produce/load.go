package produce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// flushTimeout bounds the wait for acknowledgements after a load was stopped.
const flushTimeout = 30 * time.Second

// Load brings the rows of files to a sink.
type Load struct {
	Config Config
	Files  []string  // "-" is Stdin
	Stdin  io.Reader // for the file "-"
	Sink   Sink
	// Check, if set, looks at each event that is pushed.
	Check func(file string, line int, event []byte)
	// OnBadRow, if set, is called for each bad row.
	OnBadRow func(BadRow) error
	// Progress, if set, is told now and then how many bytes of how many are
	// read; 0 in all means unknown.
	Progress func(done, total int64)
	// Delivery, if set, keeps what the load holds, and may replace what an
	// earlier one held.
	Delivery *Delivery

	read    atomic.Int64
	total   int64           // bytes of all passes, 0 if it is not known
	formats map[Format]bool // of the files
	mark    []byte          // of the records, nil unless the load is kept
}

// Summary is what a load did.
type Summary struct {
	Files   int   `json:"files"`
	Rows    int64 `json:"rows"`     // read, header and blank lines apart
	Pushed  int64 `json:"pushed"`   // records, bad rows pushed as they are among them
	BadRows int64 `json:"bad_rows"` // not mapped
	Undated int64 `json:"undated"`  // events that leave ingested_at to the moment of pushing
	Deleted int64 `json:"deleted"`  // events of earlier deliveries that this one has no longer
	Newer   int64 `json:"newer"`    // rows of days that a newer delivery holds: not pushed
}

// rows is what a file gives one after another.
type rows interface{ next() (row, error) }

// Run reads every file once (once more with Config.EventID, because ordinals
// need all rows first, and once more where deliveries are kept) and returns when
// all records are acknowledged. A file whose header does not fit stops the load
// before any row of any file is pushed. When ctx ends, what was pushed is waited
// for, and the error says so.
func (l *Load) Run(ctx context.Context, now time.Time) (Summary, error) {
	var sum Summary
	if err := l.Config.Validate(now); err != nil {
		return sum, err
	}
	if len(l.Files) == 0 {
		return sum, errors.New("no files: name at least one, or - for standard input")
	}
	l.Config.snapshot = l.Delivery != nil && l.Delivery.Replaces != nil
	ids, err := l.prepare(ctx)
	if err != nil {
		return sum, err
	}
	l.read.Store(0)
	l.total = totalBytes(l.Files)
	if l.Delivery.keeps(l.formats) {
		err := l.deliver(ctx, now, ids, &sum)
		return sum, err
	}
	err = l.each(ctx, ids, &sum, l.pushing(ctx, &sum))
	return sum, finish(ctx, l.Sink, err)
}

// taker is what one pass over the files does with their rows. The event is valid
// during the call. An errBadRow of event makes the row a bad one.
type taker struct {
	event func(file string, r row, id string, event []byte, dated bool) error
	bad   func(file string, r row, cause error) error
}

// pushing is the taker that pushes.
func (l *Load) pushing(ctx context.Context, sum *Summary) taker {
	var block arena
	return taker{
		event: func(file string, r row, id string, event []byte, dated bool) error {
			if l.Check != nil {
				l.Check(file, r.line, event)
			}
			if !dated {
				sum.Undated++
			}
			return l.push(ctx, block.copy([]byte(id)), block.copy(event), sum)
		},
		bad: func(file string, r row, cause error) error { return l.badRow(ctx, file, r, cause, sum) },
	}
}

// each hands every row of every file to take.
func (l *Load) each(ctx context.Context, ids *ordinals, sum *Summary, take taker) error {
	if ids != nil {
		ids.rewind()
	}
	for _, name := range l.Files {
		if err := l.file(ctx, name, ids, sum, take); err != nil {
			return err
		}
		sum.Files++
	}
	return nil
}

// prepare checks every file's header, and with Config.EventID notes all rows.
// Standard input can be read but once: its header is checked in file.
func (l *Load) prepare(ctx context.Context) (*ordinals, error) {
	var ids *ordinals
	if len(l.Config.EventID) > 0 {
		ids = &ordinals{}
	}
	l.formats = map[Format]bool{}
	stdin := 0
	for _, name := range l.Files {
		if name == Stdin {
			if stdin++; stdin > 1 {
				return nil, errors.New("standard input can be read once: name it once")
			}
			if ids != nil {
				return nil, errors.New("--event-id reads each file twice, which standard input cannot be: write it to a file first")
			}
			l.formats[cmp.Or(l.Config.Format, Auto)] = true
			continue
		}
		if err := l.scan(ctx, name, ids); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if stdin > 0 && l.Delivery.keeps(l.formats) {
		return nil, errors.New("--deliveries reads each file twice, which standard input cannot be: write it to a file first, or say --format jsonl if it is events")
	}
	return ids, nil
}

// scan opens a file, checks its header, and notes its rows for the ordinals.
func (l *Load) scan(ctx context.Context, name string, ids *ordinals) error {
	src, err := openSource(name, l.Stdin, &l.read)
	if err != nil {
		return err
	}
	defer src.close()
	t, m, err := l.open(src, ids)
	if err != nil || ids == nil || t == nil {
		return err
	}
	for n := 0; ; n++ {
		r, err := t.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errBadRow):
			continue
		case err != nil:
			return err
		}
		if id, err := m.id(r.cells); err == nil {
			ids.note(id, r.cells)
		}
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// open finds out a source's format and maps its header. The table is nil for
// JSON lines.
func (l *Load) open(src *source, ids *ordinals) (*table, *mapping, error) {
	format := l.Config.Format
	if format == "" {
		format = Auto
	}
	if format == Auto {
		beginning, err := src.Peek(512)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, nil, fmt.Errorf("read: %w", err)
		}
		if looksLikeJSON(beginning) {
			format = JSONLines
		}
	}
	if format == JSONLines {
		l.formats[format] = true
		return nil, nil, l.Config.fits(format)
	}
	t, err := newTable(src, l.Config.delimiter())
	if err != nil {
		return nil, nil, err
	}
	if format == Auto {
		format = detectTable(t.header)
	}
	l.formats[format] = true
	if err := errors.Join(l.Config.fits(format), l.Delivery.fits(format, &l.Config)); err != nil {
		return nil, nil, err
	}
	m, err := mapTable(format, t.header, &l.Config)
	if err != nil {
		return nil, nil, err
	}
	m.ordinals = ids
	return t, m, nil
}

// file hands the rows of one file to take.
func (l *Load) file(ctx context.Context, name string, ids *ordinals, sum *Summary, take taker) error {
	title := titleOf(name)
	inFile := func(err error) error { return fmt.Errorf("%s: %w", title, err) }
	src, err := openSource(name, l.Stdin, &l.read)
	if err != nil {
		return inFile(err)
	}
	defer src.close()
	t, m, err := l.open(src, ids)
	if err != nil {
		return inFile(err)
	}
	var from rows = t
	if t == nil {
		from = &lines{src: src}
	}

	var scratch []byte
	for n := 0; ; n++ {
		if n%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if l.Progress != nil {
				l.Progress(l.read.Load(), l.total)
			}
		}
		r, err := from.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, errBadRow) {
			return inFile(err)
		}
		sum.Rows++
		var id string
		var dated bool
		if err == nil {
			if m == nil {
				scratch, id, dated, err = l.Config.lineEvent(scratch[:0], r.raw)
			} else {
				scratch, id, err = m.appendEvent(scratch[:0], r.cells)
				dated = m.dated
			}
		}
		if size := len(id) + len(scratch); err == nil && size > MaxRecordBytes {
			err = fmt.Errorf("%w: the event has %d bytes, a record holds %d", errBadRow, size, MaxRecordBytes)
		}
		switch {
		case err == nil:
			err = take.event(title, r, id, scratch, dated)
		case !errors.Is(err, errBadRow):
			return inFile(err)
		}
		if errors.Is(err, errBadRow) {
			sum.BadRows++
			err = take.bad(title, r, err)
		}
		if err != nil {
			return err
		}
	}
}

// badRow reports a row and, if so configured, pushes its bytes.
func (l *Load) badRow(ctx context.Context, file string, r row, cause error, sum *Summary) error {
	if l.OnBadRow != nil {
		if err := l.OnBadRow(newBadRow(file, r, cause)); err != nil {
			return err
		}
	}
	if l.Config.BadRows != PushBadRows {
		return nil
	}
	raw := r.raw[:min(len(r.raw), MaxRecordBytes)]
	return l.push(ctx, nil, append([]byte(nil), raw...), sum)
}

// push hands one record to the sink.
func (l *Load) push(ctx context.Context, key, value []byte, sum *Summary) error {
	if err := l.Sink.Push(ctx, Record{Key: key, Value: value, Mark: l.mark}); err != nil {
		return err
	}
	sum.Pushed++
	return nil
}

// finish waits for what was pushed, also after err has stopped the pushing, but
// then not for ever. What the sink says of records pushed before comes first.
func finish(ctx context.Context, sink Sink, err error) error {
	flushCtx, cancel := context.WithoutCancel(ctx), func() {}
	if err != nil {
		flushCtx, cancel = context.WithTimeout(flushCtx, flushTimeout)
	}
	defer cancel()
	flushErr := sink.Flush(flushCtx)
	if errors.Is(flushErr, err) {
		return flushErr
	}
	return errors.Join(flushErr, err)
}

// totalBytes is the size of the files, 0 if it is not known.
func totalBytes(files []string) int64 {
	var total int64
	for _, name := range files {
		info, err := os.Stat(name)
		if name == Stdin || err != nil || !info.Mode().IsRegular() {
			return 0
		}
		total += info.Size()
	}
	return total
}

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

// Load pushes the rows of files to a sink.
type Load struct {
	Config Config
	Files  []string  // "-" is Stdin
	Stdin  io.Reader // for the file "-"
	Sink   Sink
	// Check, if set, is called with each event that is pushed.
	Check func(file string, line int, event []byte)
	// OnBadRow, if set, is called for each bad row.
	OnBadRow func(BadRow) error
	// Progress, if set, is called from time to time with the bytes read and the total; a total of 0 means unknown.
	Progress func(done, total int64)
	// Delivery, if set, records the ids of the load, which may replace those of earlier loads.
	Delivery *Delivery

	read    atomic.Int64
	total   int64           // bytes of all passes; 0: unknown
	formats map[Format]bool // of the files
	mark    []byte          // of the records; nil unless the load is recorded
}

// Summary is the result of a load.
type Summary struct {
	Files   int   `json:"files"`
	Rows    int64 `json:"rows"`     // read, without header and blank lines
	Pushed  int64 `json:"pushed"`   // records, including bad rows that are pushed unchanged
	BadRows int64 `json:"bad_rows"` // not mapped
	Undated int64 `json:"undated"`  // events whose ingested_at is the time of pushing
	Deleted int64 `json:"deleted"`  // events of earlier deliveries that this delivery does not have
	Newer   int64 `json:"newer"`    // rows not pushed because a newer delivery has their days
}

// rows is the sequence of rows of a file.
type rows interface{ next() (row, error) }

// Run reads every file once (once more with Config.EventID, because ordinals need all rows first, and once more if
// deliveries are recorded) and returns when all records are acknowledged. A file with an invalid header stops the load
// before any row of any file is pushed. If ctx ends, Run waits for the pushed records and returns an error.
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

// rowHandler handles the rows of one reading of the files. The event is valid during the call. If event returns an
// errBadRow, the row is a bad row.
type rowHandler struct {
	event func(file string, r row, id string, event []byte, dated bool) error
	bad   func(file string, r row, cause error) error
}

// pushing is the rowHandler that pushes.
func (l *Load) pushing(ctx context.Context, sum *Summary) rowHandler {
	var block arena
	return rowHandler{
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

// each calls take with every row of every file.
func (l *Load) each(ctx context.Context, ids *ordinals, sum *Summary, take rowHandler) error {
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

// prepare checks the header of every file, and with Config.EventID notes all rows. Standard input can be read only
// once, so file checks its header.
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

// open detects the format of a source and maps its header. The table is nil for JSON lines.
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

// file calls take with the rows of one file.
func (l *Load) file(ctx context.Context, name string, ids *ordinals, sum *Summary, take rowHandler) error {
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

// push passes one record to the sink.
func (l *Load) push(ctx context.Context, key, value []byte, sum *Summary) error {
	if err := l.Sink.Push(ctx, Record{Key: key, Value: value, Mark: l.mark}); err != nil {
		return err
	}
	sum.Pushed++
	return nil
}

// finish waits for the pushed records, after an error with a timeout. An error of the sink has precedence over err.
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

// totalBytes is the size of the files; 0: unknown.
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

package produce

import (
	"bufio"
	"context"
	"io"
)

// Record is a record to push.
type Record struct {
	Key, Value []byte
	Mark       []byte // the value of delivery.HeaderKey, nil for none
}

// Sink receives records. Push may retain a record's bytes until Flush returns; the caller does not change them. An
// error of either means that some records did not arrive, and is final.
type Sink interface {
	Push(ctx context.Context, r Record) error
	Flush(ctx context.Context) error
}

// Discard is a Sink that drops all records: of a load that only validates its files.
type Discard struct{}

// Push drops the record.
func (Discard) Push(context.Context, Record) error { return nil }

// Flush has nothing to do.
func (Discard) Flush(context.Context) error { return nil }

// Printer is a Sink that writes the values as JSON lines.
type Printer struct{ w *bufio.Writer }

// NewPrinter returns a Printer that writes to w through a buffer.
func NewPrinter(w io.Writer) *Printer { return &Printer{bufio.NewWriterSize(w, bufferBytes)} }

// Push writes one line.
func (p *Printer) Push(_ context.Context, r Record) error {
	if _, err := p.w.Write(r.Value); err != nil {
		return err
	}
	return p.w.WriteByte('\n')
}

// Flush writes the buffered lines.
func (p *Printer) Flush(context.Context) error { return p.w.Flush() }

package lake

import (
	"bytes"
	"errors"
	"sync"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// layout is how the rows of a dataset lie in a file.
type layout struct {
	schema *parquet.Schema
	footer format.FileMetaData // of a file without rows
	idle   sync.Pool           // of *[]*column, which keep their memory for the next file
}

// The layouts of the datasets whose columns are known.
var (
	eventLayout      = layoutOf(eventSchema)
	serviceDayLayout = layoutOf(serviceDaySchema)
	accountDayLayout = layoutOf(accountDaySchema)
	changeLayout     = layoutOf(changeSchema)
)

// layoutOf is a layout that is made when it is first needed.
func layoutOf(s *parquet.Schema) func() (*layout, error) {
	return sync.OnceValues(func() (*layout, error) { return newLayout(s) })
}

// newLayout takes from parquet-go what a footer says of a schema.
func newLayout(s *parquet.Schema) (*layout, error) {
	var b bytes.Buffer
	err := parquet.NewWriter(&b, s).Close()
	file, openErr := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err := errors.Join(err, openErr); err != nil {
		return nil, err
	}
	l := &layout{schema: s, footer: *file.Metadata()}
	l.footer.CreatedBy = createdBy
	return l, nil
}

// take gives out columns for a file.
func (l *layout) take() []*column {
	if idle, ok := l.idle.Get().(*[]*column); ok {
		return *idle
	}
	var columns []*column
	for _, f := range l.schema.Fields() {
		columns = append(columns, newColumn(f))
	}
	return columns
}

// give takes back columns that are reset.
func (l *layout) give(columns []*column) { l.idle.Put(&columns) }

package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/format"
)

// Type is the type of a column's values.
type Type int

// The types of columns, with their logical and physical types in Parquet.
const (
	String     Type = iota // STRING in BYTE_ARRAY
	Decimal128             // DECIMAL(38, Column.Scale) in FIXED_LEN_BYTE_ARRAY(16)
	Int64                  // INT(64, signed) in INT64
	Int32                  // INT(32, signed) in INT32
	Timestamp              // TIMESTAMP(MICROS, UTC) in INT64
	Date                   // DATE in INT32, days since 1970-01-01
	Boolean                // BOOLEAN
)

// Column describes one column of a file.
type Column struct {
	Name         string
	Type         Type
	Scale        int  // of a Decimal128
	Optional     bool // may be null
	Dictionary   bool // RLE_DICTIONARY: for strings that repeat
	Delta        bool // DELTA_BINARY_PACKED: for integers whose differences are small
	Uncompressed bool // without zstd: for columns in which it saves nothing
}

// Schema is the columns of a file in their order. It may be shared.
type Schema struct {
	name    string
	columns []Column
	nodes   *parquet.Schema
	footer  func() (*format.FileMetaData, error) // of a file without rows; shared
	idle    sync.Pool                            // of *[]*ColumnWriter, which keep their memory for the next file
}

// NewSchema makes a schema. A name that is empty or repeated, and an encoding that does not fit a type, are errors.
func NewSchema(name string, columns ...Column) (*Schema, error) {
	root := orderedGroup{Group: parquet.Group{}}
	names := map[string]bool{}
	for i := range columns {
		c := &columns[i]
		if c.Name == "" {
			return nil, fmt.Errorf("schema %s: column %d has no name", name, i)
		}
		if names[c.Name] {
			return nil, fmt.Errorf("schema %s: two columns are named %q", name, c.Name)
		}
		names[c.Name] = true
		node, err := c.node()
		if err != nil {
			return nil, fmt.Errorf("schema %s: column %q: %w", name, c.Name, err)
		}
		root.fields = append(root.fields, orderedField{node, c.Name})
	}
	s := &Schema{name: name, columns: columns, nodes: parquet.NewSchema(name, root)}
	s.footer = sync.OnceValues(s.emptyFooter)
	return s, nil
}

// MustSchema is NewSchema for columns that are constants of a program. It panics on an error.
func MustSchema(name string, columns ...Column) *Schema {
	s, err := NewSchema(name, columns...)
	if err != nil {
		panic(err)
	}
	return s
}

// Columns returns the columns. They must not be changed.
func (s *Schema) Columns() []Column { return s.columns }

// node returns the column as parquet-go describes it.
func (c *Column) node() (parquet.Node, error) {
	integer := c.Type == Int64 || c.Type == Int32 || c.Type == Timestamp || c.Type == Date
	if c.Dictionary && c.Type != String || c.Delta && !integer {
		return nil, errors.New("its encoding does not fit its type")
	}
	var node parquet.Node
	switch c.Type {
	case String:
		node = parquet.String()
	case Decimal128:
		node = parquet.Decimal(c.Scale, 38, parquet.FixedLenByteArrayType(len(Decimal{})))
	case Int64:
		node = parquet.Int(64)
	case Int32:
		node = parquet.Int(32)
	case Timestamp:
		node = parquet.Timestamp(parquet.Microsecond)
	case Date:
		node = parquet.Date()
	case Boolean:
		node = parquet.Leaf(parquet.BooleanType)
	default:
		return nil, fmt.Errorf("there is no type %d", c.Type)
	}
	if c.Optional {
		node = parquet.Optional(node)
	}
	return node, nil
}

// kind returns the column's physical type.
func (c *Column) kind() format.Type {
	switch c.Type {
	case String:
		return format.ByteArray
	case Decimal128:
		return format.FixedLenByteArray
	case Int64, Timestamp:
		return format.Int64
	case Int32, Date:
		return format.Int32
	default:
		return format.Boolean
	}
}

// encoding returns the encoding of the column's data pages.
func (c *Column) encoding() encoding.Encoding {
	switch {
	case c.Dictionary:
		return &parquet.RLEDictionary
	case c.Delta:
		return &parquet.DeltaBinaryPacked
	case c.Type == String:
		return &parquet.DeltaLengthByteArray
	default:
		return &parquet.Plain
	}
}

// emptyFooter returns the footer that parquet-go writes for the schema in a file without rows.
func (s *Schema) emptyFooter() (*format.FileMetaData, error) {
	var b bytes.Buffer
	err := parquet.NewWriter(&b, s.nodes).Close()
	file, openErr := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err := errors.Join(err, openErr); err != nil {
		return nil, fmt.Errorf("schema %s: %w", s.name, err)
	}
	return file.Metadata(), nil
}

// borrow returns empty columns for a Writer.
func (s *Schema) borrow() []*ColumnWriter {
	if idle, ok := s.idle.Get().(*[]*ColumnWriter); ok {
		return *idle
	}
	columns := make([]*ColumnWriter, len(s.columns))
	for i := range columns {
		columns[i] = newColumnWriter(&s.columns[i])
	}
	return columns
}

// giveBack takes columns that are empty again.
func (s *Schema) giveBack(columns []*ColumnWriter) { s.idle.Put(&columns) }

// orderedGroup is a parquet.Group that keeps the order of its columns.
type orderedGroup struct {
	parquet.Group
	fields []parquet.Field
}

func (g orderedGroup) Fields() []parquet.Field { return g.fields }

func (g orderedGroup) GoType() reflect.Type { return reflect.TypeFor[map[string]string]() }

type orderedField struct {
	parquet.Node
	name string
}

func (f orderedField) Name() string { return f.name }

func (f orderedField) Value(base reflect.Value) reflect.Value {
	return base.MapIndex(reflect.ValueOf(f.name))
}

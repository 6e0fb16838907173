package publish

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"daybook/internal/billing"
	"daybook/internal/lake"
)

// tenantColumn is every dataset's first column.
const tenantColumn = "tenant_id"

// dimensionFile is a parsed dimension file of a tenant.
type dimensionFile struct {
	columns []string
	cells   map[string][]*string // by key, in the order of columns; nil is null
	faults  []string             // repeated and empty keys, with their lines
}

// rows are the rows of the given values. The tenant's columns of a value that is not in the file are null.
func (f *dimensionFile) rows(t billing.TenantID, keys []string) []lake.DimRow {
	rows := make([]lake.DimRow, 0, len(keys))
	for _, k := range keys {
		row := lake.DimRow{Tenant: t, Key: k, Extra: f.cells[k]}
		if row.Extra == nil {
			row.Extra = make([]*string, len(f.columns))
		}
		rows = append(rows, row)
	}
	return rows
}

// readDimensionFiles reads the dimension files in a tenant's directory, by dimension.
func readDimensionFiles(root string, t billing.TenantID) (map[lake.Dataset]*dimensionFile, error) {
	if root == "" {
		return nil, nil
	}
	fault := func(err error) error { return fmt.Errorf("%w: --dimensions: %w", ErrUsage, err) }
	stray, err := strayFiles(root)
	if err == nil && stray != "" {
		err = fmt.Errorf("%s: files belong in the directory of a tenant, %s", filepath.Join(root, stray), filepath.Join(root, string(t), stray))
	}
	if err != nil {
		return nil, fault(err)
	}
	dir := filepath.Join(root, string(t))
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault(err)
	}
	files := map[lake.Dataset]*dimensionFile{}
	for _, entry := range entries {
		stem, isCSV := strings.CutSuffix(entry.Name(), ".csv")
		if !isCSV {
			continue
		}
		ds := lake.Dataset(stem)
		key, ok := lake.DimensionKey(ds)
		name := filepath.Join(dir, entry.Name())
		if !ok {
			return nil, fault(fmt.Errorf("%s is of no dimension: they are %s, %s, %s and %s", name, lake.DimAccount, lake.DimService, lake.DimRegion, lake.DimPricing))
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, fault(err)
		}
		files[ds], err = parseDimension(f, entry.Name(), key)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fault(fmt.Errorf("%s: %w", name, err))
		}
	}
	return files, nil
}

// strayFiles is the name of a dimension file that is in root and not in a tenant's directory; empty: none.
func strayFiles(root string) (string, error) {
	entries, err := os.ReadDir(root)
	for _, e := range entries {
		if !e.IsDir() && strings.HasPrefix(e.Name(), "dim_") {
			return e.Name(), nil
		}
	}
	return "", err
}

// parseDimension reads a CSV file with a header, one column of which is the key.
// An empty cell is null. The lines of the gate dimension_key begin with name.
func parseDimension(r io.Reader, name, key string) (*dimensionFile, error) {
	rows := csv.NewReader(r)
	header, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("it is empty: its first line names its columns, %s at least", key)
	}
	if err != nil {
		return nil, err
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	f := &dimensionFile{cells: map[string][]*string{}}
	at := slices.Index(header, key)
	if at < 0 {
		return nil, fmt.Errorf("no column %s in the header: it has %s", key, strings.Join(header, ", "))
	}
	for i, column := range header {
		// Engines treat names that differ only in case as equal.
		same := func(other string) bool { return strings.EqualFold(other, column) }
		switch {
		case column == "" || !utf8.ValidString(column):
			return nil, fmt.Errorf("column %d has no name that is UTF-8", i+1)
		case same(tenantColumn):
			return nil, fmt.Errorf("column %s: the tenant is that of the directory", column)
		case slices.ContainsFunc(header[:i], same):
			return nil, fmt.Errorf("column %q appears twice", column)
		case i != at:
			f.columns = append(f.columns, column)
		}
	}
	lines := map[string]int{}
	for {
		record, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := rows.FieldPos(0)
		value := record[at]
		if value == "" {
			f.faults = append(f.faults, fmt.Sprintf("%s: line %d has an empty %s", name, line, key))
			continue
		}
		if before, twice := lines[value]; twice {
			f.faults = append(f.faults, fmt.Sprintf("%s: %s %q is on lines %d and %d", name, key, value, before, line))
			continue
		}
		lines[value] = line
		cells := make([]*string, 0, len(f.columns))
		for i, cell := range record {
			switch {
			case i == at:
			case cell == "":
				cells = append(cells, nil)
			case !utf8.ValidString(cell):
				return nil, fmt.Errorf("line %d: column %q is not UTF-8", line, header[i])
			default:
				cells = append(cells, &cell)
			}
		}
		f.cells[value] = cells
	}
}

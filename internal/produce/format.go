package produce

import (
	"bytes"
	"fmt"
	"slices"
)

// Format is the format of a file.
type Format string

// The formats. Auto detects the format from the first bytes of the file.
const (
	Auto      Format = "auto"
	JSONLines Format = "jsonl"
	CSV       Format = "csv"
	CUR       Format = "cur"
	FOCUS     Format = "focus"
)

// formats are the values of --format.
var formats = []Format{Auto, JSONLines, CSV, CUR, FOCUS}

// foreign has first bytes of formats that are not supported, and their remedies.
var foreign = []struct{ magic, what string }{
	{"PK\x03\x04", "is a ZIP archive: unpack it first"},
	{"PAR1", "is a Parquet file: export it as CSV, or convert it (DuckDB: COPY (FROM 'x.parquet') TO 'x.csv')"},
	{"\x28\xb5\x2f\xfd", "is compressed with zstd: decompress it first"},
	{"BZh", "is compressed with bzip2: decompress it first"},
	{"\xff\xfe", "is UTF-16: convert it to UTF-8 first (iconv -f UTF-16 -t UTF-8)"},
	{"\xfe\xff", "is UTF-16: convert it to UTF-8 first (iconv -f UTF-16 -t UTF-8)"},
}

// refuseForeign returns an error if the first bytes are those of an unsupported format.
func refuseForeign(beginning []byte) error {
	for _, f := range foreign {
		if bytes.HasPrefix(beginning, []byte(f.magic)) {
			return fmt.Errorf("%s", f.what)
		}
	}
	return nil
}

// looksLikeJSON reports whether a file starts with a JSON object.
func looksLikeJSON(beginning []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(beginning, " \t\r\n"), []byte("{"))
}

// detectTable detects the CSV format from its header.
func detectTable(h *header) Format {
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return h.find(n) >= 0 })
	}
	switch {
	case has("identity/LineItemId", "identity_line_item_id"):
		return CUR
	case has("ChargePeriodStart") && has("BilledCost", "EffectiveCost"):
		return FOCUS
	default:
		return CSV
	}
}

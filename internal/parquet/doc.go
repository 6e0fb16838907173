// Package parquet writes and reads flat Parquet files column by column. It is the only package that imports
// parquet-go. It uses the encodings, the Thrift structures and the page decoder of parquet-go.
//
// # Why it exists
//
// parquet-go v0.32.0 has a writer of its own. It is not used, for four reasons:
//
//   - It orders DECIMAL in FIXED_LEN_BYTE_ARRAY as unsigned bytes when it computes minima and maxima, so that a
//     negative value counts as the greatest. Engines that skip by statistics then miss rows: DuckDB finds none for
//     "cost < 0" (parquet-go issue 592, fixed after v0.32.0).
//   - It writes the empty string for NULL in some optional columns, after as many values as nulls.
//   - It takes rows by reflection, which costs three times the CPU of this package.
//   - It copies a row group from another file byte for byte only under conditions that it checks silently, and
//     else encodes the rows again.
//
// The first release of parquet-go that fixes the first two lets this package shrink to the last two. The tests that
// show it are TestDuckDBSkipsByStatistics (negative decimals) and TestDuckDBReadsExactly (nulls) in internal/lake,
// and TestColumnsReadBack here.
//
// # Files written
//
// Files follow the Parquet format specification (https://github.com/apache/parquet-format), with
//
//   - flat columns, required or optional: STRING, DECIMAL(38, s) in FIXED_LEN_BYTE_ARRAY(16), INT64, INT32,
//     TIMESTAMP(MICROS, UTC), DATE, BOOLEAN;
//   - the encodings RLE_DICTIONARY (with a PLAIN dictionary page), DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY and
//     PLAIN (Encodings.md), and definition levels in the RLE/bit-packing hybrid;
//   - data pages of version 2 with CRC-32, each of at most 8,192 rows, compressed with zstd or not at all;
//   - minimum, maximum and null count of each page and each column chunk, and the page index: ColumnIndex and
//     OffsetIndex (PageIndex.md);
//   - key-value metadata in the footer.
//
// The same values, row groups and metadata give the same bytes.
//
// # Files read
//
// The package reads the files that it writes. Data from disk is not trusted: a damaged file gives an error that wraps
// ErrCorrupt, not a panic. Before parquet-go decodes a structure, the sizes and counts in it are compared with the
// bytes of the file, so that a damaged length allocates no memory. This does not protect from a page whose checksum was
// computed again after a change: its runs can still make the decoder allocate gigabytes. A caller that needs that
// compares a hash of the file first, as internal/lake does.
//
// # Concurrency and ownership
//
// A Writer, a File and a Decoder each belong to one goroutine at a time. A Schema may be shared. The values of a
// ColumnBatch are valid until the next batch.
package parquet

import "errors"

// ErrCorrupt: bytes are not a Parquet file, or not one with the expected columns. Errors of the reader that is
// underneath do not wrap it.
var ErrCorrupt = errors.New("corrupt Parquet file")

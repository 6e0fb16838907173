package lake

import (
	"bytes"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// TestNullsStayNull writes every pattern of eight nulls and values: parquet-go v0.32.0 takes nulls for empty
// strings after as many values as nulls, unless the column is a pointer.
func TestNullsStayNull(t *testing.T) {
	t.Parallel()
	for mask := range 1 << 8 {
		records := make([]eventRecord, 8)
		want := int64(0)
		for i := range records {
			if records[i].recordTime = -1; mask>>i&1 == 1 {
				records[i].category = "Usage"
			} else {
				want++
			}
			records[i].point()
		}
		var out bytes.Buffer
		w := parquet.NewGenericWriter[eventRecord](&out, eventSchema)
		if _, err := w.Write(records); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		file, err := parquet.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if got := file.Metadata().RowGroups[0].Columns[6].MetaData.Statistics.NullCount; got != want {
			t.Errorf("%08b: %d nulls, want %d", mask, got, want)
		}
	}
}

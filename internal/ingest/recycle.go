package ingest

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// recycler returns the memory of fetched records to the client once they are judged. New memory each time costs
// page faults and doubles the resident memory before a collection. The collector frees unusual sizes.
type recycler struct {
	bytes   sync.Pool // of *[]byte, into which batches are decompressed
	records sync.Pool // of *[]kgo.Record
}

var (
	_ kgo.PoolDecompressBytes = (*recycler)(nil)
	_ kgo.PoolRecords         = (*recycler)(nil)
)

// GetDecompressBytes returns memory of any size. The client allocates if it is too small.
func (r *recycler) GetDecompressBytes([]byte, kgo.CompressionCodecType) []byte {
	if b, ok := r.bytes.Get().(*[]byte); ok {
		return *b
	}
	return nil
}

// PutDecompressBytes returns memory to the pool.
func (r *recycler) PutDecompressBytes(b []byte) { r.bytes.Put(&b) }

// GetRecords returns memory for n records.
func (r *recycler) GetRecords(n int) []kgo.Record {
	if s, ok := r.records.Get().(*[]kgo.Record); ok && cap(*s) >= n {
		return *s
	}
	return make([]kgo.Record, n)
}

// PutRecords returns memory to the pool.
func (r *recycler) PutRecords(s []kgo.Record) { r.records.Put(&s) }

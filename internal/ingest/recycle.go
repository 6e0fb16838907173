package ingest

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// recycler gives the client the memory of fetched records back once they are judged: memory that
// is new each time costs page faults, and as much again resident before the collector runs. What
// a batch of an odd size leaves is dropped by the collector.
type recycler struct {
	bytes   sync.Pool // of *[]byte, into which batches are decompressed
	records sync.Pool // of *[]kgo.Record
}

var (
	_ kgo.PoolDecompressBytes = (*recycler)(nil)
	_ kgo.PoolRecords         = (*recycler)(nil)
)

// GetDecompressBytes is memory of any size; the client takes more where it does not do.
func (r *recycler) GetDecompressBytes([]byte, kgo.CompressionCodecType) []byte {
	if b, ok := r.bytes.Get().(*[]byte); ok {
		return *b
	}
	return nil
}

// PutDecompressBytes takes memory back.
func (r *recycler) PutDecompressBytes(b []byte) { r.bytes.Put(&b) }

// GetRecords is memory for n records.
func (r *recycler) GetRecords(n int) []kgo.Record {
	if s, ok := r.records.Get().(*[]kgo.Record); ok && cap(*s) >= n {
		return *s
	}
	return make([]kgo.Record, n)
}

// PutRecords takes memory back.
func (r *recycler) PutRecords(s []kgo.Record) { r.records.Put(&s) }

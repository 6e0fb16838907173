package extsort

import (
	"math"
	"sync/atomic"
)

// Rows collects rows in memory. The zero value has none.
//
// A row is added by Set, or, without copying it, by Begin, appending the key to Buf, EndKey, appending the value to
// Buf, and End. A row may also say that its key is deleted (Delete, EndDelete), for owners that write rows to a
// database. A row that is in memory of the owner's already is added by Refer.
//
// Bytes of rows that Key and Row return are valid until Reset; rows added meanwhile do not move them.
type Rows struct {
	// Buf is where the row between Begin and End is built. Append to it, do not replace it.
	Buf []byte

	lent  [][]byte
	rows  []row
	refs  []Ref // memory of Sort and Split
	start int   // of the row that is built, in Buf
	value int   // of its value
}

// row is where a row is. It is small, because rows are visited in the order of their keys, which is random in memory.
type row struct {
	at         int    // of the key in its memory, and which memory: at>>memoryShift, 0 is Buf. The value follows the key.
	key, value uint32 // bytes
}

const (
	memoryShift = 40             // a memory has at most 1 TiB, and there are at most 2^23 of them
	deleted     = math.MaxUint32 // in place of a value's length: the key is deleted
)

// Reset removes all rows and keeps the memory for others. Lent memory is given back.
func (r *Rows) Reset() { r.Buf, r.lent, r.rows = r.Buf[:0], r.lent[:0], r.rows[:0] }

// Len is the number of rows.
func (r *Rows) Len() int { return len(r.rows) }

// Bytes is how many bytes the memories of rows hold, including lent ones.
func (r *Rows) Bytes() int {
	n := len(r.Buf)
	for _, b := range r.lent {
		n += len(b)
	}
	return n
}

// Lend makes memory of the owner's, which must not change until Reset, known to Refer. The memories get consecutive
// numbers, of which the first is returned.
func (r *Rows) Lend(memories []*[]byte) (first int) {
	first = len(r.lent) + 1
	for _, b := range memories {
		r.lent = append(r.lent, *b)
	}
	return first
}

// Refer adds a row in lent memory: key bytes from at on are its key, and the value bytes after them its value.
func (r *Rows) Refer(memory, at int, key, value uint32) {
	r.rows = append(r.rows, row{memory<<memoryShift | at, key, value})
}

// Begin starts a row. Its key is what is appended to Buf until EndKey.
func (r *Rows) Begin() { r.start = len(r.Buf) }

// EndKey ends the key. The value is what is appended to Buf until End.
func (r *Rows) EndKey() { r.value = len(r.Buf) }

// End adds the row that was begun.
func (r *Rows) End() {
	r.rows = append(r.rows, row{r.start, uint32(r.value - r.start), uint32(len(r.Buf) - r.value)})
}

// EndDelete adds the row that was begun, of which only the key was appended, as a deletion.
func (r *Rows) EndDelete() {
	r.rows = append(r.rows, row{r.start, uint32(len(r.Buf) - r.start), deleted})
}

// Cancel drops the row that was begun.
func (r *Rows) Cancel() { r.Buf = r.Buf[:r.start] }

// Built is what was appended to Buf since Begin: the key, and after EndKey as much of the value as there is. It is
// valid until Buf is appended to.
func (r *Rows) Built() []byte { return r.Buf[r.start:] }

// BuiltKey is the key of the row that is built, after EndKey. It is valid until Buf is appended to.
func (r *Rows) BuiltKey() []byte { return r.Buf[r.start:r.value] }

// Set adds a row. Key and value are copied.
func (r *Rows) Set(key, value []byte) {
	r.Begin()
	r.Buf = append(r.Buf, key...)
	r.EndKey()
	r.Buf = append(r.Buf, value...)
	r.End()
}

// Delete adds a deletion. The key is copied.
func (r *Rows) Delete(key []byte) {
	r.Begin()
	r.Buf = append(r.Buf, key...)
	r.EndDelete()
}

// locate is the memory that a row is in, and where.
func (r *Rows) locate(w *row) (memory []byte, at int) {
	if n := w.at >> memoryShift; n != 0 {
		return r.lent[n-1], w.at & (1<<memoryShift - 1)
	}
	return r.Buf, w.at
}

// Key is the key of the i-th row that was added.
func (r *Rows) Key(i int32) []byte {
	w := &r.rows[i]
	b, at := r.locate(w)
	return b[at : at+int(w.key)]
}

// Row is the i-th row that was added, and whether it is a deletion.
func (r *Rows) Row(i int32) (key, value []byte, isDeletion bool) {
	w := &r.rows[i]
	b, at := r.locate(w)
	end := at + int(w.key)
	if w.value == deleted {
		return b[at:end], nil, true
	}
	return b[at:end], b[end : end+int(w.value)], false
}

// PrefetchRows is how many rows are worth prefetching at once.
const PrefetchRows = 64

// Prefetch reads from every cache line of some rows, so that the memory is on its way when they are used. Rows in
// the order of their keys are far apart in memory; waiting for one after the other took a third of the time of
// writing a table, while the processor serves many such misses at once.
func (r *Rows) Prefetch(refs []Ref) {
	const line = 64
	var sum byte
	for _, ref := range refs {
		w := &r.rows[ref.Row]
		b, at := r.locate(w)
		end := at + int(w.key)
		if w.value != deleted {
			end += int(w.value)
		}
		if at == end {
			continue
		}
		for ; at < end; at += line {
			sum += b[at]
		}
		sum += b[end-1]
	}
	prefetched.Store(uint32(sum))
}

// prefetched keeps the compiler from removing Prefetch's reads.
var prefetched atomic.Uint32

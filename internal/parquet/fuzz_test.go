package parquet_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"

	"daybook/internal/parquet"
)

// smallFile is a file with two row groups, several pages and nulls.
func smallFile(t testing.TB, seed uint64, rows int) []byte {
	r := rand.New(rand.NewPCG(seed, 4))
	return create(t, everyType, func(w *parquet.Writer) {
		for range rows {
			appendRow(t, w, randomRow(r, 1, 20))
			endRow(t, w)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		appendRow(t, w, randomRow(r, 1, 20))
		w.SetMetadata("notes", "[1,2,3]")
	})
}

// checkDamage reads a file that may be damaged. It must not panic, an error is ErrCorrupt, and the memory that is
// allocated for it is bounded.
func checkDamage(t *testing.T, data []byte) (refused bool) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := readAll(bytes.NewReader(data), int64(len(data)))
	runtime.ReadMemStats(&after)
	if err != nil && !errors.Is(err, parquet.ErrCorrupt) {
		t.Fatalf("an error without a name: %v", err)
	}
	// A page decompresses to 32,768 times its bytes at most; decoding may double that. 64 MiB are for buffers.
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(64<<20+len(data)<<16); got > most {
		t.Fatalf("%d bytes were allocated for a file of %d, %v", got, len(data), err)
	}
	return err != nil
}

// FuzzFile reads any bytes as a file.
func FuzzFile(f *testing.F) {
	f.Add(smallFile(f, 1, 0))
	f.Add(smallFile(f, 2, 1))
	f.Add(smallFile(f, 3, 300))
	f.Add([]byte("PAR1\x00\x00\x00\x00PAR1"))
	f.Add([]byte("PAR1\xff\xff\xff\xffPAR1"))
	f.Fuzz(func(t *testing.T, data []byte) { checkDamage(t, data) })
}

// FuzzFooter replaces the footer of a file whose pages are whole.
func FuzzFooter(f *testing.F) {
	whole := smallFile(f, 3, 300)
	length := int(binary.LittleEndian.Uint32(whole[len(whole)-8:]))
	pages, footer := whole[:len(whole)-8-length], whole[len(whole)-8-length:len(whole)-8]
	f.Add(footer)
	f.Add([]byte{})
	f.Add([]byte{0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07}) // a list of 2^31-1 structures
	f.Fuzz(func(t *testing.T, footer []byte) {
		data := append(bytes.Clone(pages), footer...)
		data = binary.LittleEndian.AppendUint32(data, uint32(len(footer)))
		checkDamage(t, append(data, "PAR1"...))
	})
}

// FuzzPage overwrites some bytes of the pages of a file whose footer is whole.
func FuzzPage(f *testing.F) {
	whole := smallFile(f, 5, 300)
	length := int(binary.LittleEndian.Uint32(whole[len(whole)-8:]))
	pages := len(whole) - 8 - length
	f.Add(uint32(4), []byte{0x15, 0x00, 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f})
	f.Add(uint32(400), []byte{0xff})
	f.Fuzz(func(t *testing.T, offset uint32, with []byte) {
		data := bytes.Clone(whole)
		copy(data[4+int(offset)%(pages-4):pages], with)
		checkDamage(t, data)
	})
}

// TestFlippedBits flips each bit of a file in turn. A damaged page or footer is refused in most cases.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	whole := smallFile(t, 7, 40)
	step := 7
	if testing.Short() {
		step = 61
	}
	tried, refused := 0, 0
	for bit := 0; bit < 8*len(whole); bit += step {
		data := bytes.Clone(whole)
		data[bit/8] ^= 1 << (bit % 8)
		if tried++; checkDamage(t, data) {
			refused++
		}
	}
	t.Logf("%d of %d damages were refused", refused, tried)
	if refused < tried/2 {
		t.Errorf("only %d of %d damages were refused", refused, tried)
	}
}

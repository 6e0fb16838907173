package extsort_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"daybook/internal/extsort"
)

// memFile is a File in memory.
type memFile struct {
	b      []byte
	closed bool
	fail   error // of Write and ReadAt
}

func (f *memFile) Write(b []byte) (int, error) {
	if f.fail != nil {
		return 0, f.fail
	}
	f.b = append(f.b, b...)
	return len(b), nil
}

func (f *memFile) ReadAt(b []byte, at int64) (int, error) {
	if f.fail != nil {
		return 0, f.fail
	}
	return bytes.NewReader(f.b).ReadAt(b, at)
}

func (f *memFile) Close() error {
	f.closed = true
	return nil
}

// sorterOf makes a Sorter that writes to file.
func sorterOf(file *memFile, memory int64) *extsort.Sorter {
	return extsort.NewSorter(extsort.Options{Memory: memory, Create: func() (extsort.File, error) { return file, nil }})
}

type pair struct{ key, value string }

func comparePairs(a, b pair) int {
	return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.value, b.value))
}

// drawKey makes keys that are short, random, that share long prefixes, and that are prefixes of each other.
func drawKey(rng *rand.Rand) []byte {
	key := []byte{byte(rng.IntN(2)) * 0xff}
	switch rng.IntN(5) {
	case 0:
		return append(key, make([]byte, rng.IntN(20))...)
	case 1:
		return fmt.Appendf(key, "account-%d-%d", rng.IntN(3), rng.IntN(100))
	case 2:
		return append(key, bytes.Repeat([]byte{0xff}, rng.IntN(20))...)
	case 3:
		return fmt.Appendf(key, "a-long-prefix-that-all-have-%c-%d", rng.IntN(256), rng.IntN(10))
	default:
		return fmt.Appendf(key, "%x", rng.Uint64())
	}
}

// TestSorterSorts holds a Sorter, whose memory is from less than a row to more than all of them, against
// slices.Sort. Keys may be empty and may come more than once. What is sorted can be read again.
func TestSorterSorts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		file := &memFile{}
		s := sorterOf(file, rapid.Int64Range(0, 40_000).Draw(t, "memory"))
		var want []pair
		for i := range rapid.OneOf(rapid.IntRange(0, 50), rapid.IntRange(1000, 1500)).Draw(t, "rows") {
			key := drawKey(rng)[rng.IntN(2):]
			value := fmt.Append(nil, i)
			want = append(want, pair{string(key), string(value)})
			if i%2 == 0 {
				if err := s.Add(key, value); err != nil {
					t.Fatal(err)
				}
				clear(key) // which was copied
				continue
			}
			s.Rows.Begin()
			s.Rows.Buf = append(s.Rows.Buf, "cancelled"...)
			s.Rows.Cancel()
			s.Rows.Begin()
			s.Rows.Buf = append(s.Rows.Buf, key...)
			s.Rows.EndKey()
			s.Rows.Buf = append(s.Rows.Buf, value...)
			if !bytes.Equal(s.Rows.BuiltKey(), key) || !bytes.Equal(s.Rows.Built(), append(key, value...)) {
				t.Fatalf("built %q of key %q", s.Rows.Built(), s.Rows.BuiltKey())
			}
			s.Rows.End()
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		slices.SortFunc(want, comparePairs)
		for range 2 {
			var got []pair
			last := ""
			for row, err := range s.Sorted() {
				if err != nil {
					t.Fatal(err)
				}
				if string(row.Key) < last {
					t.Fatalf("%q comes after %q", row.Key, last)
				}
				last = string(row.Key)
				got = append(got, pair{string(row.Key), string(row.Value)})
			}
			slices.SortFunc(got, comparePairs) // rows of one key come in any order
			if !slices.Equal(got, want) {
				t.Fatalf("%d rows came, not the %d sorted", len(got), len(want))
			}
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil || file.closed != (len(file.b) > 0) {
			t.Fatalf("closed %t, %v", file.closed, err)
		}
	})
}

// TestMergersOfRanges: the ranges of a split have every row of all runs once, in the order of keys.
func TestMergersOfRanges(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 5))
	for _, n := range []int{0, 1, 2, 3, 8, 25} {
		var runs []extsort.Run
		var want []string
		total := 0
		for range n {
			s := sorterOf(&memFile{}, 1<<20)
			for range 1 + rng.IntN(400) {
				key := drawKey(rng)
				s.Rows.Set(key, key)
				want = append(want, string(key))
			}
			more, err := s.Finish()
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range more {
				total += r.Rows()
			}
			runs = append(runs, more...)
		}
		slices.Sort(want)
		var got []string
		var low []byte
		for _, high := range append(extsort.SplitRuns(runs, 3), nil) {
			m, err := extsort.NewMerger(runs, low, high, 0)
			if err != nil {
				t.Fatal(err)
			}
			for {
				key, value, err := m.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(key, value) {
					t.Fatalf("%d runs: key %x has the value of %x", n, key, value)
				}
				got = append(got, string(key))
			}
			low = high
		}
		if !slices.Equal(got, want) || total != len(want) {
			t.Fatalf("%d runs of %d rows: %d rows came, not the %d sorted", n, total, len(got), len(want))
		}
	}
}

// TestSplitGroups: every row is in the group of its first byte, and groups are in the order of keys; rows in lent
// memory and deletions too.
func TestSplitGroups(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 7))
	ends := []byte{0x10, 0x11, 0x40, 0xff}
	var rows extsort.Rows
	for _, n := range []int{0, 1, 17, 1_000, 30_000} {
		rows.Reset()
		var lent []byte
		lentRows := map[string]bool{}
		deletions := map[string]bool{}
		want := map[string]bool{}
		for len(want) < n {
			key := append([]byte{[]byte{0x03, 0x10, 0x11, 0x12, 0x13, 0x40, 0xfe}[rng.IntN(7)]}, drawKey(rng)...)
			if want[string(key)] {
				continue
			}
			want[string(key)] = true
			switch rng.IntN(3) {
			case 0:
				lent = append(append(lent, key...), key...)
				lentRows[string(key)] = true
			case 1:
				rows.Delete(key)
				deletions[string(key)] = true
			default:
				rows.Set(key, key)
			}
		}
		first := rows.Lend([]*[]byte{{}, &lent})
		at := 0
		for at < len(lent) {
			for n := 1; ; n++ { // a lent row is its key, twice
				if half := lent[at : at+n]; lentRows[string(half)] && bytes.HasPrefix(lent[at+n:], half) {
					rows.Refer(first+1, at, uint32(n), uint32(n))
					at += 2 * n
					break
				}
			}
		}
		got := 0
		var last []byte
		for i, group := range rows.Split(ends) {
			refs := group.Sort()
			rows.Prefetch(refs)
			for _, ref := range refs {
				key, value, isDeletion := rows.Row(ref.Row)
				if bytes.Compare(key, last) <= 0 {
					t.Fatalf("%d rows: %x follows %x", n, key, last)
				}
				if key[0] >= ends[i] || i > 0 && key[0] < ends[i-1] {
					t.Fatalf("%d rows: %x is in group %d", n, key, i)
				}
				if !want[string(key)] || isDeletion != deletions[string(key)] || !isDeletion && !bytes.Equal(value, key) {
					t.Fatalf("%d rows: %x (value %x, deletion %t) was never added", n, key, value, isDeletion)
				}
				last = slices.Clone(key)
				got++
			}
		}
		if got != n || rows.Len() != n {
			t.Fatalf("%d of %d rows are in groups", got, n)
		}
	}
}

// TestTempFileLeavesNothing: a sort of many runs works in a file that has no name.
func TestTempFileLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := extsort.NewSorter(extsort.Options{Memory: 1000, Create: func() (extsort.File, error) { return extsort.TempFile(dir) }})
	const n = 20_000
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
		if err := s.Add(fmt.Appendf(nil, "%06d", i), []byte("value")); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	i := 0
	for row, err := range s.Sorted() {
		if err != nil || string(row.Key) != fmt.Sprintf("%06d", i) || string(row.Value) != "value" {
			t.Fatalf("%d: %q, %v", i, row.Key, err)
		}
		i++
	}
	if err := s.Close(); err != nil || i != n {
		t.Fatalf("%d of %d: %v", i, n, err)
	}
	if _, err := extsort.TempFile(dir + "/missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file in a directory that is missing: %v", err)
	}
}

// TestErrorsOfTheFile: what the file refuses comes back wrapped, from where it is met.
func TestErrorsOfTheFile(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	s := extsort.NewSorter(extsort.Options{Create: func() (extsort.File, error) { return nil, broken }})
	if err := s.Add([]byte("k"), nil); !errors.Is(err, broken) {
		t.Errorf("file cannot be made: %v", err)
	}
	file := &memFile{fail: broken}
	s = sorterOf(file, 0)
	if err := s.Add([]byte("k"), nil); !errors.Is(err, broken) {
		t.Errorf("file cannot be written: %v", err)
	}
	if err := s.Close(); err != nil || !file.closed {
		t.Errorf("closed %t after an error: %v", file.closed, err)
	}
	file = &memFile{}
	s = sorterOf(file, 0)
	if err := s.Add([]byte("k"), nil); err != nil {
		t.Fatal(err)
	}
	file.fail = broken
	for _, err := range s.Sorted() {
		if !errors.Is(err, broken) || errors.Is(err, extsort.ErrDamaged) {
			t.Errorf("file cannot be read: %v", err)
		}
	}
	s = sorterOf(&memFile{}, 0)
	if err := s.Add(make([]byte, extsort.MaxKeyBytes+1), nil); err == nil {
		t.Error("a key that is too long was written to a run")
	}
}

// twoRuns is a file with two runs of rows that share prefixes, and a reader of what is then in it.
func twoRuns(t interface{ Fatal(args ...any) }) (file *memFile, read func() (rows int, err error)) {
	file = &memFile{}
	s := sorterOf(file, 4000)
	for i := range 100 {
		if err := s.Add(fmt.Appendf(nil, "key-%03d-%d", i*37%100, i%3), bytes.Repeat([]byte{byte(i)}, i%7)); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := s.Finish()
	if err != nil || len(runs) != 2 {
		t.Fatal(len(runs), " runs, ", err)
	}
	return file, func() (rows int, err error) {
		m, err := extsort.NewMerger(runs, nil, nil, 0)
		var last []byte
		for err == nil {
			var key []byte
			if key, _, err = m.Next(); err == nil {
				rows++
				if bytes.Compare(key, last) < 0 {
					t.Fatal(fmt.Sprintf("%q comes after %q", key, last))
				}
				last = append(last[:0], key...)
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return rows, err
	}
}

// TestDamagedRuns: of a run with a flipped bit rows ascend or the damage is named, and a run that is cut is never
// taken for a shorter one.
func TestDamagedRuns(t *testing.T) {
	t.Parallel()
	file, read := twoRuns(t)
	if rows, err := read(); err != nil || rows != 100 {
		t.Fatalf("%d rows, %v", rows, err)
	}
	whole := slices.Clone(file.b)
	named := 0
	for bit := range 8 * len(whole) {
		file.b[bit/8] ^= 1 << (bit % 8)
		if _, err := read(); err != nil {
			if !errors.Is(err, extsort.ErrDamaged) {
				t.Fatalf("bit %d: %v", bit, err)
			}
			named++
		}
		file.b[bit/8] = whole[bit/8]
	}
	if named == 0 {
		t.Error("no flipped bit was noticed")
	}
	for n := range whole {
		file.b = whole[:n]
		if _, err := read(); !errors.Is(err, extsort.ErrDamaged) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(whole), err)
		}
	}
}

// FuzzRuns reads runs of bytes that anyone may have written: rows that ascend or ErrDamaged, never a panic.
func FuzzRuns(f *testing.F) {
	file, _ := twoRuns(f)
	f.Add(file.b)
	f.Add(bytes.Repeat([]byte{0xff}, 100))
	f.Add(bytes.Repeat([]byte{0}, len(file.b)))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, read := twoRuns(t)
		file.b = b
		if _, err := read(); err != nil && !errors.Is(err, extsort.ErrDamaged) {
			t.Error(err)
		}
	})
}

// benchRows are rows like those of a state: random ids behind a prefix, and a value.
func benchRows(n int) (rows [][2][]byte) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range n {
		key := fmt.Appendf([]byte{0x10, 0, 0}, "default\x00\x02%016x", rng.Uint64())
		rows = append(rows, [2][]byte{key, fmt.Appendf(nil, "%020d", rng.Uint64())})
	}
	return rows
}

// BenchmarkSort sorts rows in memory.
func BenchmarkSort(b *testing.B) {
	const n = 200_000
	var rows extsort.Rows
	for _, r := range benchRows(n) {
		rows.Set(r[0], r[1])
	}
	b.SetBytes(int64(rows.Bytes()))
	for b.Loop() {
		rows.Sort()
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkMerge reads runs as one.
func BenchmarkMerge(b *testing.B) {
	const n = 400_000
	rows := benchRows(n)
	for _, runs := range []int{4, 64} {
		b.Run(fmt.Sprintf("runs=%d", runs), func(b *testing.B) {
			var all []extsort.Run
			size := 0
			for i := range runs {
				file := &memFile{}
				s := sorterOf(file, 1<<40)
				for _, r := range rows[i*n/runs : (i+1)*n/runs] {
					s.Rows.Set(r[0], r[1])
				}
				more, err := s.Finish()
				if err != nil {
					b.Fatal(err)
				}
				all, size = append(all, more...), size+len(file.b)
			}
			b.SetBytes(int64(size))
			for b.Loop() {
				m, err := extsort.NewMerger(all, nil, nil, extsort.MaxMergeMemory)
				for err == nil {
					_, _, err = m.Next()
				}
				if !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

package lake

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/parquet-go/parquet-go"
)

// TestRowsAheadOfACutChangeNothing: a row group has the same bytes whether or not rows of the next are held already.
func TestRowsAheadOfACutChangeNothing(t *testing.T) {
	t.Parallel()
	l, err := newLayout(parquet.SchemaOf(struct {
		Text    string  `parquet:"text"`
		Maybe   string  `parquet:"maybe,optional"`
		Word    string  `parquet:"word,dict"`
		MayWord string  `parquet:"may_word,optional,dict"`
		Money   decimal `parquet:"money,decimal(18:38)"`
		MayLong int64   `parquet:"may_long,optional,delta,uncompressed"`
		Int     int32   `parquet:"int"`
	}{}))
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(8) {
		add := func(w *table, i int) {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			c, length := w.columns, 30
			if seed%2 == 0 {
				length = 3000
			}
			c[0].text(strings.Repeat("x", r.IntN(length)))
			c[1].textOrNull(strings.Repeat("y", max(0, r.IntN(2*length)-length)))
			c[2].text(fmt.Sprint(r.IntN(50)))
			c[3].textOrNull([]string{"", "a", "b"}[r.IntN(int(1+seed%3))])
			c[4].money(usd(t, fmt.Sprintf("%d.%03d", r.IntN(2000)-1000, r.IntN(1000))))
			if v := r.Int64(); seed == 7 || v%3 == 0 {
				c[5].null()
			} else {
				c[5].int64(v)
			}
			c[6].int32(r.Int32())
		}
		write := func(ahead int) []byte {
			r := rand.New(rand.NewPCG(seed, 1))
			disk := vfs.NewMem()
			w, err := newTable(Mem(disk), "file", l)
			if err != nil {
				t.Fatal(err)
			}
			rows, written := 0, 0
			for range 5 {
				n := 1 + r.IntN(3000)
				for ; rows < written+n+ahead; rows++ {
					add(w, rows)
				}
				for _, c := range w.columns {
					if err := c.endPages(n); err != nil {
						t.Fatal(err)
					}
				}
				if err := w.endGroup(); err != nil {
					t.Fatal(err)
				}
				written += n
			}
			for _, c := range w.columns {
				if err := c.endPages(rows - written); err != nil {
					t.Fatal(err)
				}
				if c.rows != 0 {
					t.Fatalf("%d rows are still held", c.rows)
				}
				c.reset()
			}
			build := &Build{}
			if err := w.close(build, &File{}); err != nil {
				t.Fatal(err)
			}
			if err := build.syncs.Wait(); err != nil {
				t.Fatal(err)
			}
			data, err := readFile(Mem(disk), "file")
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
		want := write(0)
		for _, ahead := range []int{1, 700, 5000} {
			if got := write(ahead); !bytes.Equal(got, want) {
				t.Errorf("seed %d: with %d rows ahead the file has other bytes", seed, ahead)
			}
		}
	}
}

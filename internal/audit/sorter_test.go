package audit

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"daybook/internal/billing"
)

// TestSorterSorts holds a sorter, whose memory is from a pair to all of them, against slices.Sort.
func TestSorterSorts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfDistinct(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) string { return string(b) }).Draw(t, "keys")
		s := newSorter(dir, rapid.Int64Range(1, 4000).Draw(t, "memory"))
		var scratch []byte
		for _, key := range keys {
			scratch = append(append(scratch[:0], key...), bytes.Repeat(key, 3)...)
			if err := s.add(scratch[:len(key)], scratch[len(key):]); err != nil {
				t.Fatal(err)
			}
		}
		slices.SortFunc(keys, bytes.Compare)
		i := 0
		for p, err := range s.sorted() {
			if err != nil || !bytes.Equal(p.key, keys[i]) || !bytes.Equal(p.value, bytes.Repeat(keys[i], 3)) {
				t.Fatalf("%d: %q %q, %v; want %q", i, p.key, p.value, err, keys[i])
			}
			i++
		}
		if err := s.Close(); err != nil || i != len(keys) {
			t.Fatalf("%d of %d: %v", i, len(keys), err)
		}
	})
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestSorterMergesRuns has more runs than are merged at once.
func TestSorterMergesRuns(t *testing.T) {
	t.Parallel()
	s := newSorter(t.TempDir(), 1000)
	const n = 20_000
	order := rand.New(rand.NewPCG(1, 2)).Perm(n)
	most := 0
	for _, i := range order {
		if err := s.add(binary.BigEndian.AppendUint32(nil, uint32(i)), []byte("value")); err != nil {
			t.Fatal(err)
		}
		most = max(most, len(s.runs))
	}
	if most >= maxRuns || most < maxRuns/2 {
		t.Errorf("up to %d runs", most)
	}
	i := uint32(0)
	for p, err := range s.sorted() {
		if err != nil || binary.BigEndian.Uint32(p.key) != i {
			t.Fatalf("%d: %x, %v", i, p.key, err)
		}
		i++
	}
	if err := s.Close(); err != nil || i != n {
		t.Fatalf("%d of %d: %v", i, n, err)
	}
}

// Keys order as their parts do, whatever bytes an account holds.
func TestPostingKeysOrder(t *testing.T) {
	t.Parallel()
	part := rapid.StringOfN(rapid.RuneFrom([]rune{0, 1, 'a', 'b', 0xFF}), 1, 5, -1)
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) *event {
			return &event{day: fmt.Sprintf("2025-01-0%d", rapid.IntRange(1, 2).Draw(t, name+" day")), account: part.Draw(t, name+" account"), id: part.Draw(t, name+" id")}
		}
		a, b := draw("a"), draw("b")
		want := slices.Compare([]string{a.day, a.account, a.id}, []string{b.day, b.account, b.id})
		if got := bytes.Compare(postingKey(nil, a), postingKey(nil, b)); got != want {
			t.Fatalf("%+v %+v: %d, want %d", a, b, got, want)
		}
	})
}

func TestEntriesReadBack(t *testing.T) {
	t.Parallel()
	e := (&judge{rules: rules()[1]}).judge(Record{Source: billing.Source{RecordTime: arrival}, Value: []byte(`{"event_id":"a","account_id":"1","service_name":"S3","usage_date":"2025-01-03","cost_usd":-1.5,"charge_category":"Credit","x":[1]}`)})
	if e.fault != "" {
		t.Fatal(e.fault)
	}
	b := appendEvent(nil, e)
	got, err := parseEvent(b)
	if err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("%+v, %v; want %+v", got, err, e)
	}
	for i := range b {
		if _, err := parseEvent(b[:i]); err == nil {
			t.Fatalf("cut at %d of %d: no error", i, len(b))
		}
	}
}

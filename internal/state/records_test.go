package state

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/billing"
)

// TestEventsAscendByID: whatever an account-day's ids are, UUIDs and others, few and more than are read ahead, each
// event is read once, in the order of ids as text.
func TestEventsAscendByID(t *testing.T) {
	s := openTest(t, testOptions(vfs.NewMem()))
	r := rand.New(rand.NewPCG(1, 2))
	uuid := func() string {
		var b [16]byte
		binary.LittleEndian.PutUint64(b[:], r.Uint64())
		binary.LittleEndian.PutUint64(b[8:], r.Uint64())
		return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	}
	other := func() string { return fmt.Sprintf("%x", r.Uint64()) }
	const many = aheadBytes / 32
	var want []string
	next := int64(0)
	for i, of := range []struct{ uuids, others int }{{3, 0}, {0, 3}, {3, 3}, {many, 0}, {many, 1}, {5, many}, {0, many}, {1, 0}} {
		var records []Record
		for range of.uuids {
			records = append(records, event(uuid(), fmt.Sprint(i), 1, 1, 1, next+int64(len(records))))
		}
		for range of.others {
			records = append(records, event(other(), fmt.Sprint(i), 1, 1, 1, next+int64(len(records))))
		}
		apply(t, s, next, records...)
		next += int64(len(records))
		for _, record := range records {
			want = append(want, fmt.Sprint(i, " ", record.Event.ID))
		}
	}
	slices.Sort(want)
	reader, err := s.Reader()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	read := func(from, to billing.AccountID) (got []string) {
		for e, err := range reader.Events("default", 1, from, to) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(e.Account)+" "+string(e.ID))
		}
		return got
	}
	if got := read("", ""); !slices.Equal(got, want) {
		t.Errorf("%d events, want %d, or in another order", len(got), len(want))
	}
	var apart []string
	for i := range 8 {
		apart = append(apart, read(billing.AccountID(fmt.Sprint(i)), billing.AccountID(fmt.Sprint(i+1)))...)
	}
	if !slices.Equal(apart, want) {
		t.Errorf("account by account %d events, want %d, or in another order", len(apart), len(want))
	}
}

package publish

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/inspect"
	"daybook/internal/lake"
	"daybook/internal/test/disktest"
)

// certificate is the newest release's, with account-days, as it is printed and read.
func (w *world) certificate() *inspect.Certificate {
	w.t.Helper()
	c, err := inspect.Certify(w.series(), 0, nil, true)
	w.check(err)
	text, err := json.Marshal(c)
	w.check(err)
	read, err := inspect.ReadCertificate(bytes.NewReader(text))
	w.check(err)
	return read
}

// rebuilt is a world whose state and lake were rebuilt from the same log, in pieces of any size and in any
// order of the partitions.
func (w *world) rebuilt(chance *rand.Rand) {
	w.t.Helper()
	w.lake = lake.Open("/lake", disktest.Mem(vfs.NewMem()), w.clock)
	w.newState(len(w.log))
	for {
		var left []int
		for p := range w.log {
			if w.next[p] < int64(len(w.log[p])) {
				left = append(left, p)
			}
		}
		if len(left) == 0 {
			break
		}
		p := left[chance.IntN(len(left))]
		w.read(p, 1+chance.IntN(len(w.log[p])-int(w.next[p])))
	}
	w.caughtUp()
	w.publish()
}

// TestCertificateOfRebuilds: two states that were made from one log in any order have one certificate, and so has
// a lake that reached it by corrections; one changed event changes exactly its account-day's.
func TestCertificateOfRebuilds(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	w.cfg.RowsPerFile = 3
	w.newState(3)
	ids := 0
	send := func(n int) {
		for range n {
			ids++
			id := fmt.Sprint("e", 1+chance.IntN(ids))
			value := event(id, fmt.Sprint("a", chance.IntN(4)), fmt.Sprint("s", chance.IntN(2)), fmt.Sprintf("2025-01-0%d", 1+chance.IntN(4)),
				fmt.Sprintf("%d.%02d", chance.IntN(100), chance.IntN(100)), chance.IntN(20))
			if chance.IntN(10) == 0 {
				value = deletion(id, chance.IntN(20))
			}
			w.pushTo(chance.IntN(3), value)
		}
		w.caughtUp()
		w.publish()
	}
	w.cfg.AllowEmptyDays, w.cfg.Limits.MaxRetractedPercent = true, 100
	send(60)
	send(20)
	send(20)
	want := w.certificate()
	for range 3 {
		w.rebuilt(chance)
		got := w.certificate()
		if got.Fingerprint != want.Fingerprint {
			t.Fatalf("fingerprints %s and %s", got.Fingerprint, want.Fingerprint)
		}
		result, err := inspect.CompareCertificate(w.series(), 0, nil, want)
		if err != nil || result.Err() != nil || result.Days != len(want.Days) {
			t.Fatalf("%+v, %v", result, err)
		}
	}

	w.pushTo(0, event("other", "a2", "s0", "2025-01-02", "0", 21))
	w.rebuilt(chance)
	result, err := inspect.CompareCertificate(w.series(), 0, nil, want)
	if err != nil || !errors.Is(result.Err(), ErrDifference) {
		t.Fatalf("%+v, %v", result, err)
	}
	accounts := 0
	for _, d := range result.Differences {
		if d.Day != "2025-01-02" || d.Account != "" && d.Account != "a2" {
			t.Errorf("%+v", d)
		}
		if d.Account != "" {
			accounts++
		}
	}
	if accounts == 0 {
		t.Errorf("no account-day is named: %+v", result.Differences)
	}
}

// TestCertificateRefuses what is none, what was changed, and another tenant's.
func TestCertificateRefuses(t *testing.T) {
	w := newWorld(t)
	w.week()
	w.publish()
	c := w.certificate()
	other := *c
	other.Days = slices.Clone(c.Days)
	other.Days[0].Events++
	for _, bad := range []*inspect.Certificate{{}, {Format: 2}, &other} {
		text, err := json.Marshal(bad)
		w.check(err)
		if _, err := inspect.ReadCertificate(bytes.NewReader(text)); !errors.Is(err, ErrUsage) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := inspect.ReadCertificate(bytes.NewReader([]byte("PAR1"))); !errors.Is(err, ErrUsage) {
		t.Errorf("%v", err)
	}
	c.Tenant = "acme"
	if _, err := inspect.CompareCertificate(w.series(), 0, nil, c); !errors.Is(err, ErrUsage) {
		t.Errorf("%v", err)
	}
}

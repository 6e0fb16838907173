package publish

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/lake"
	"daybook/internal/test/disktest"
)

// TestCorrectedFilesEqualAFirstRelease: after corrections, moves and deletes, in days of many row groups and of
// several files, each file of events has the same bytes as in a first release of the same state, although most row
// groups were copied from the previous release.
func TestCorrectedFilesEqualAFirstRelease(t *testing.T) {
	const days, accounts, perDay = 2, 50, 20_000
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			w := newWorld(t)
			if seed == 1 {
				w.cfg.RowsPerFile = perDay / 2
			}
			name := func(i int) (id, account, day string) {
				return fmt.Sprintf("e%06d", i), fmt.Sprintf("a%02d", i/days%accounts), fmt.Sprintf("2025-01-0%d", 3+i%days)
			}
			var records []string
			for i := range days * perDay {
				id, account, day := name(i)
				records = append(records, event(id, account, "compute", day, fmt.Sprintf("%d.%03d", i%7, i%1000), 1))
			}
			w.push(records...)
			w.caughtUp()
			w.publish()
			whole := w.written()
			for round := range 3 {
				for range 1 + r.IntN(5) {
					id, account, day := name(r.IntN(days * perDay))
					switch r.IntN(4) {
					case 0:
						w.push(deletion(id, 2+round))
					case 1:
						w.push(event(id, fmt.Sprintf("a%02d", r.IntN(accounts+5)), "compute", day, "3", 2+round))
					case 2: // no total changes
						w.push(event(id, account, "storage", day, fmt.Sprint(r.IntN(3)), 2+round))
					default:
						w.push(event(id, account, "compute", day, "-0", 2+round))
					}
				}
				w.caughtUp()
				w.publish()
				got := w.written()
				kept := w.lake
				w.lake = lake.Open("/other", disktest.Mem(vfs.NewMem()), w.clock)
				w.publish()
				want := w.written()
				w.lake = kept
				if len(got) != len(want) || len(got) < len(whole)/2 {
					t.Fatalf("%d files, in a first release %d", len(got), len(want))
				}
				for key, sum := range want {
					if got[key] != sum {
						t.Errorf("round %d: %s is %s, in a first release %s", round, key, got[key], sum)
					}
				}
				all, err := w.publisher().Verify(t.Context())
				w.check(err)
				if all[0].Events == 0 {
					t.Errorf("verified %+v", all[0])
				}
			}
		})
	}
}

// written are the hashes and facts of the newest release's files of events, by day and first account.
func (w *world) written() map[string]string {
	files := map[string]string{}
	for _, f := range w.current().Files {
		if f.Dataset == lake.Events {
			files[fmt.Sprintf("%s from %s", f.Day, f.First)] = fmt.Sprint(f.SHA256, f.Rows, f.Bytes, f.Sum, f.Last, f.Digest, f.Regions, f.Pricing)
		}
	}
	return files
}

package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"daybook/internal/billing"
	"daybook/internal/disk"
	"daybook/internal/lake"
)

// facts are what one job read of a release.
type facts struct {
	files map[string]string            // path in the release → SHA-256, of every Parquet file that is there
	sets  map[lake.Dataset]sum         // of all rows
	days  map[lake.Dataset]map[day]sum // by usage_date
	ids   int64                        // distinct event ids
}

type day = string

// sum is of a dataset's money column, without rows of nothing.
type sum struct {
	rows int64
	usd  string
}

func newFacts() *facts {
	return &facts{files: map[string]string{}, sets: map[lake.Dataset]sum{}, days: map[lake.Dataset]map[day]sum{
		lake.Events: {}, lake.ServiceDays: {}, lake.AccountDays: {},
	}}
}

// readFunc reads the release in dir, of which m is the manifest.
type readFunc func(dir string, m *lake.Manifest) (*facts, error)

// reader runs jobs: resolve once, read everything, compare with the manifest of that release. Every
// third job reads a release that was resolved before and may be pruned by now.
func (x *torture) reader(ctx context.Context, read readFunc, rng *rand.Rand) error {
	type resolved struct {
		release int
		dir     string
		at      time.Time
	}
	var newest, pinned resolved
	for ctx.Err() == nil {
		job := pinned
		if time.Since(pinned.at) > grace/2 || rng.IntN(3) > 0 {
			at := time.Now()
			n, dir, err := x.resolve(ctx)
			if err != nil {
				return err
			}
			if n < newest.release {
				return fmt.Errorf("a reader that saw release %d is now given %d", newest.release, n)
			}
			newest = resolved{n, dir, at}
			if time.Since(pinned.at) > grace/2 {
				pinned = newest
			}
			job = newest
		}
		if err := x.job(job.release, job.dir, read); err != nil {
			if age := time.Since(job.at); age < grace {
				return fmt.Errorf("a read of release %d, %s after it was resolved: %w", job.release, age, err)
			}
			x.counts.late.Add(1)
			continue
		}
		x.counts.reads.Add(1)
		if pruned, err := x.prunedNow(job.release); err != nil {
			return err
		} else if pruned {
			x.counts.prunedReads.Add(1)
		}
		pause(ctx, time.Duration(rng.IntN(150))*time.Millisecond)
	}
	return nil
}

// job reads release n in dir and compares it with its manifest, which must be
// the same for all readers and for ever.
func (x *torture) job(n int, dir string, read readFunc) error {
	data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return err
	}
	hash := sha256.Sum256(data)
	x.manifests.Lock()
	before, ok := x.manifests.seen[n]
	x.manifests.seen[n] = hex.EncodeToString(hash[:])
	x.manifests.Unlock()
	if ok && before != hex.EncodeToString(hash[:]) {
		return fmt.Errorf("its manifest is another than before")
	}
	m, err := lake.Open(x.lake, disk.OS(), time.Now).Tenant(billing.DefaultTenant).Manifest(n)
	if err != nil {
		return err
	}
	got, err := read(dir, m)
	if err != nil {
		return err
	}
	return got.differFrom(promised(m))
}

// prunedNow reports whether release n is pruned, and in its grace period.
func (x *torture) prunedNow(n int) (bool, error) {
	data, err := os.ReadFile(filepath.Join(x.lake, string(billing.DefaultTenant), "pruned.json"))
	if os.IsNotExist(err) {
		return false, nil
	}
	return strings.Contains(string(data), fmt.Sprintf("%q:", fmt.Sprint(n))), err
}

// promised has the sums that a read must have, from the manifest.
func promised(m *lake.Manifest) *facts {
	want := newFacts()
	for _, f := range m.Files {
		want.files[f.Path] = f.SHA256
		one := sum{rows: f.Rows, usd: "0"}
		if f.Sum != nil {
			one.usd = f.Sum.String()
		}
		want.sets[f.Dataset] = want.sets[f.Dataset].plus(one)
		if f.Dataset == lake.Events {
			want.ids += f.Rows
		}
		if byDay, ok := want.days[f.Dataset]; ok && f.Rows > 0 {
			byDay[f.Day.String()] = byDay[f.Day.String()].plus(one)
		}
	}
	return want
}

// differFrom is an error that names the first difference.
func (f *facts) differFrom(want *facts) error {
	if err := differ("file", f.files, want.files); err != nil {
		return err
	}
	if err := differ("dataset", f.sets, want.sets); err != nil {
		return err
	}
	for ds := range want.days {
		if err := differ(string(ds), f.days[ds], want.days[ds]); err != nil {
			return err
		}
	}
	if f.ids != want.ids {
		return fmt.Errorf("%d distinct event ids in %d events", f.ids, want.ids)
	}
	// Events, service-days and account-days are one money.
	if a, b, c := f.sets[lake.Events].usd, f.sets[lake.ServiceDays].usd, f.sets[lake.AccountDays].usd; a != b || b != c {
		return fmt.Errorf("events sum to %s, service-days to %s, account-days to %s", a, b, c)
	}
	return nil
}

func differ[K ~string, V comparable](what string, got, want map[K]V) error {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if g, ok := got[key]; !ok || g != want[key] {
			return fmt.Errorf("%s %s is %v (there: %t), the manifest says %v", what, key, g, ok, want[key])
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			return fmt.Errorf("%s %s is not in the manifest", what, key)
		}
	}
	return nil
}

func (s sum) plus(o sum) sum {
	if s.usd == "" {
		s.usd = "0"
	}
	return sum{s.rows + o.rows, money(s.usd).plus(money(o.usd))}
}

// money is a decimal as text.
type money string

func (m money) plus(o money) string {
	var a, b billing.Money
	if a.UnmarshalText([]byte(m)) != nil || b.UnmarshalText([]byte(o)) != nil {
		return "no money: " + string(m) + ", " + string(o)
	}
	total, ok := a.Add(b)
	if !ok {
		return "overflow"
	}
	return total.String()
}

// readByGo reads a release by internal/lake, and what files are there by itself.
func readByGo(dir string, m *lake.Manifest) (*facts, error) {
	got := newFacts()
	if err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "manifest.json" {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		hash := sha256.Sum256(data)
		path, err := filepath.Rel(dir, name)
		got.files[path] = hex.EncodeToString(hash[:])
		return err
	}); err != nil {
		return nil, err
	}
	add := func(ds lake.Dataset, d day, usd string) {
		got.sets[ds] = got.sets[ds].plus(sum{1, usd})
		if byDay, ok := got.days[ds]; ok {
			byDay[d] = byDay[d].plus(sum{1, usd})
		}
	}
	// The lake that dir is in, and the series.
	root := filepath.Dir(filepath.Dir(filepath.Dir(dir)))
	series := lake.Open(root, disk.OS(), time.Now).Tenant(billing.DefaultTenant)
	for _, ds := range lake.Datasets() {
		got.sets[ds] = sum{usd: "0"}
	}
	for _, e := range m.Days {
		accounts, err := series.ReadAccountDays(m, e.Day)
		if err != nil {
			return nil, err
		}
		for _, r := range accounts {
			add(lake.AccountDays, e.Day.String(), r.Total.String())
		}
		services, err := series.ReadServiceDays(m, e.Day)
		if err != nil {
			return nil, err
		}
		for _, r := range services {
			add(lake.ServiceDays, e.Day.String(), r.Total.String())
		}
	}
	ids := map[billing.EventID]bool{}
	for _, f := range m.Files {
		switch f.Dataset {
		case lake.Events:
			for r, err := range series.ReadEvents(m, f) {
				if err != nil {
					return nil, err
				}
				ids[r.Event.ID] = true
				add(lake.Events, r.Event.Day.String(), r.Event.Cost.String())
			}
		case lake.Changes:
			changes, err := series.ReadChanges(m, f.WrittenBy)
			if err != nil {
				return nil, err
			}
			for _, r := range changes {
				add(lake.Changes, "", r.Delta.String())
			}
		case lake.AccountDays, lake.ServiceDays:
		default:
			_, rows, err := series.ReadDimension(m, f.Dataset)
			if err != nil {
				return nil, err
			}
			for range rows {
				add(f.Dataset, "", "0")
			}
		}
	}
	got.ids = int64(len(ids))
	return got, nil
}

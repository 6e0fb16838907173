package publish

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"daybook/internal/billing"
)

// BenchmarkNightly is a nightly run of a tenant with years of days: one day becomes due, ten account-days of earlier
// days were corrected, and the rest is linked. The time of the checkpoint is not included.
//
//	go test -run '^$' -bench Nightly -bench.days 1826 -benchtime 20x ./internal/publish
func BenchmarkNightly(b *testing.B) {
	w := newBenchWorld(b)
	days, accounts := *benchDays, *benchAccounts
	first := billing.DayOf(w.now) - 1 - billing.Day(days)
	event := func(e *billing.Event, account int, d billing.Day, cents int) {
		e.ID = billing.EventID(fmt.Sprintf("%s-%06d", d, account))
		e.Account, e.Day = billing.AccountID(fmt.Sprintf("account-%06d", account)), d
		e.Service, e.Region = billing.ServiceName(fmt.Sprintf("service-%d", account%7)), "eu-central-1"
		e.Cost = billing.MoneyFromParts(0, uint64(cents+1)*1e16)
	}
	w.add(days*accounts, func(i int, e *billing.Event) { event(e, i%accounts, first+billing.Day(i/accounts), i) })
	source := &heldSource{Source: Store{Store: w.store, Dir: filepath.Join(w.dir, "checkpoints")}}
	night := func() TenantReport {
		cfg := DefaultConfig()
		cfg.AsOf = AsOf{w.now}
		report, err := New(cfg, Deps{Source: source, Lake: w.lake, Now: func() time.Time { return w.now }, Clock: w.reading}).Run(b.Context())
		w.check(err)
		return report.Tenants[0]
	}
	night()
	var reading time.Duration
	for b.Loop() {
		b.StopTimer()
		w.now = w.now.AddDate(0, 0, 1)
		due := billing.DayOf(w.now) - 2
		w.add(accounts+10, func(i int, e *billing.Event) {
			if i < accounts {
				event(e, i, due, i)
			} else {
				event(e, i-accounts, due-1-billing.Day(i%3), int(w.next)+i)
			}
		})
		source.take(b)
		b.StartTimer()
		r := night()
		if r.Changes.Restated != 10 || r.Changes.New != int64(accounts) {
			b.Fatalf("changes %+v, want %d new and 10 restated", r.Changes, accounts)
		}
		b.StopTimer()
		started := time.Now()
		_, err := w.lake.Tenant(billing.DefaultTenant).Current()
		w.check(err)
		reading += time.Since(started)
		b.StartTimer()
	}
	series := w.lake.Tenant(billing.DefaultTenant)
	m, err := series.Current()
	w.check(err)
	directories, written, manifest := weigh(b, series.Dir(m.Release), m.Release)
	b.ReportMetric(float64(len(m.Files)), "files")
	b.ReportMetric(float64(directories), "directories")
	b.ReportMetric(float64(written), "written-B")
	b.ReportMetric(float64(manifest), "manifest-B")
	b.ReportMetric(float64(reading.Milliseconds())/float64(b.N), "read-manifest-ms")
}

// weigh measures a release: its directories, the bytes of Parquet files that it wrote, and the bytes of its manifest.
func weigh(b *testing.B, dir string, release int) (directories int, written, manifest int64) {
	b.Helper()
	own := fmt.Sprintf("part-%06d-", release)
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			directories++
			return err
		}
		info, err := os.Stat(filepath.Join(dir, "manifest.json"))
		if err == nil {
			manifest = info.Size()
		}
		if info, err := e.Info(); err == nil && len(e.Name()) > len(own) && e.Name()[:len(own)] == own {
			written += info.Size()
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return directories, written, manifest
}

package lake

import (
	"fmt"
	"iter"
	"slices"
	"syscall"
	"testing"

	"daybook/internal/billing"
)

// someEvents returns n rows of 2,000 accounts with random-looking ids.
func someEvents(t testing.TB, d billing.Day, n int) iter.Seq2[*EventRow, error] {
	row := event(t, d, "", "", "0.123456")
	perAccount := max(n/2000, 1)
	return func(yield func(*EventRow, error) bool) {
		for i := range n {
			r := row
			r.Event.Account = billing.AccountID(fmt.Sprintf("%012d", i/perAccount))
			h := uint64(i%perAccount)<<40 | uint64(i)*0x9e3779b97f4a7c15>>24
			r.Event.ID = billing.EventID(fmt.Sprintf("%016x-4a7c-15e3-%012x", h, h*31&0xffffffffffff))
			r.Event.Service = billing.ServiceName(serviceNames[i%len(serviceNames)])
			r.Event.Cost = billing.MoneyFromParts(0, uint64(i%100_000)*1_000_000_000_000)
			r.Event.Version.Source.Offset = int64(i)
			if !yield(&r, nil) {
				return
			}
		}
	}
}

var serviceNames = []string{"Amazon Elastic Compute Cloud", "Amazon Simple Storage Service", "AWS Lambda", "Amazon RDS", "AmazonCloudWatch"}

// cpuSeconds returns the CPU time of the process. Rows per CPU second depend little on other load.
func cpuSeconds(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

func BenchmarkWriteEvents(b *testing.B) {
	for _, n := range []int{100, 1 << 20} {
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			s := diskLake(b)
			d := day(b, "2025-01-01")
			rows := slices.Collect(func(yield func(EventRow) bool) {
				for r, err := range someEvents(b, d, n) {
					if err != nil || !yield(*r) {
						return
					}
				}
			})
			b.ResetTimer()
			cpu := cpuSeconds(b)
			for b.Loop() {
				build, err := s.Begin(1, nil)
				if err != nil {
					b.Fatal(err)
				}
				f, err := build.WriteEvents(d, 0, events(rows...))
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(f.Bytes)
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(n)*float64(b.N)/(cpuSeconds(b)-cpu), "rows/cpu-s")
		})
	}
}

func BenchmarkReadBack(b *testing.B) {
	s := diskLake(b)
	d := day(b, "2025-01-01")
	const n = 1 << 20
	build, err := s.Begin(1, nil)
	if err != nil {
		b.Fatal(err)
	}
	f, err := build.WriteEvents(d, 0, Segment{Rows: someEvents(b, d, n)})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			if faults, err := build.ReadBack(); err != nil || len(faults) > 0 {
				b.Fatal(faults, err)
			}
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
	if err := build.Publish(&Manifest{AsOf: testNow}); err != nil {
		b.Fatal(err)
	}
	m, err := s.Current()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("rows", func(b *testing.B) {
		for b.Loop() {
			for _, err := range s.ReadEvents(m, f) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}

// BenchmarkPublish rewrites 10 of 90 days with 2,000 accounts and 5 events each. The other files are linked.
func BenchmarkPublish(b *testing.B) {
	s := diskLake(b)
	const accounts, perAccount, dayCount, corrected = 2000, 5, 90, 10
	first := day(b, "2025-01-01")
	write := func(build *Build, d billing.Day) {
		if _, err := build.WriteEvents(d, 0, Segment{Rows: someEvents(b, d, accounts*perAccount)}); err != nil {
			b.Fatal(err)
		}
		var services []ServiceDayRow
		var days []AccountDayRow
		for i := range accounts {
			account := billing.AccountID(fmt.Sprintf("%012d", i))
			for j := range perAccount {
				services = append(services, ServiceDayRow{"acme", account, billing.ServiceName(fmt.Sprint(j)), billing.MoneyFromParts(0, uint64(i)), 1})
			}
			days = append(days, AccountDayRow{Tenant: "acme", Account: account, Total: billing.MoneyFromParts(0, uint64(i)), PublishedAt: testNow, Revision: 1, Events: 5})
		}
		if _, err := build.WriteServiceDays(d, services); err != nil {
			b.Fatal(err)
		}
		if _, err := build.WriteAccountDays(d, days); err != nil {
			b.Fatal(err)
		}
	}
	build, err := s.Begin(1, nil)
	if err != nil {
		b.Fatal(err)
	}
	for i := range dayCount {
		write(build, first+billing.Day(i))
	}
	prev := &Manifest{AsOf: testNow}
	if err := build.Publish(prev); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	cpu := cpuSeconds(b)
	for b.Loop() {
		build, err := s.Begin(prev.Release+1, prev)
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range prev.Files {
			if f.Day == nil || *f.Day >= first+corrected {
				if err := build.Link(f); err != nil {
					b.Fatal(err)
				}
			}
		}
		for i := range corrected {
			write(build, first+billing.Day(i))
		}
		if faults, err := build.ReadBack(); err != nil || len(faults) > 0 {
			b.Fatal(faults, err)
		}
		next := &Manifest{AsOf: testNow}
		if err := build.Publish(next); err != nil {
			b.Fatal(err)
		}
		prev = next
	}
	b.ReportMetric((cpuSeconds(b)-cpu)/float64(b.N), "cpu-s/op")
}

//go:build cgo

package headline

import (
	"log/slog"
	"strings"
	"time"

	"daybook/internal/audit"
	"daybook/internal/billing"
	"daybook/internal/disk"
	"daybook/internal/lake"
)

// audit has the auditor rebuild a tenant's current release from the broker's log. Its memory is as small as can
// be, so that it sorts in files.
func (p *pipeline) audit(tenant string) {
	p.t.Helper()
	cfg := audit.Config{MemoryBytes: 256 << 20, Limit: 1000, IdleTimeout: time.Minute}
	cfg.Temp, cfg.MemoryBytes = p.t.TempDir(), 4<<10
	k := &audit.Kafka{Config: p.kafka.Kafka, IdleTimeout: 30 * time.Second, Log: slog.New(slog.DiscardHandler)}
	report, err := audit.New(cfg, billing.TenantID(tenant), audit.Deps{
		Lake: lake.Open(p.lake(), disk.OS(), time.Now), Read: k.Read,
	}).Audit(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	if report.Differing > 0 {
		lines := make([]string, 0, len(report.Differences))
		for _, d := range report.Differences {
			lines = append(lines, strings.Join([]string{d.Dataset, d.Day, d.Account, d.Service, d.Event, d.What, d.Column, d.Audited, d.Released}, " | "))
		}
		p.t.Fatalf("tenant %s, release %d: the auditor finds\n%s", tenant, report.Release, strings.Join(lines, "\n"))
	}
}

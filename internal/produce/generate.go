package produce

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Forms of synthetic ids.
const (
	RandomIDs IDForm = "uuid4"
	TimeIDs   IDForm = "uuid7"
	ULIDs     IDForm = "ulid"
)

// IDForm is the form of synthetic event ids.
type IDForm string

// GeneratorConfig is the configuration of synthetic load. The shares are fractions of all records; the remaining
// records are new events on time.
type GeneratorConfig struct {
	Count      int64   `help:"Number of records; 0: no end, --rate records a second by the clock of the load." default:"100000" placeholder:"N" group:"Synthetic load:"`
	Rate       float64 `help:"Most records a second; 0: as fast as can be." default:"0" placeholder:"N" group:"Synthetic load:"`
	Seed       uint64  `help:"Seed: the same seed and flags give the same records." default:"1" placeholder:"N" group:"Synthetic load:"`
	Tenants    uint64  `help:"Number of tenants; with 1 the events name none." default:"1" placeholder:"N" group:"Synthetic load:"`
	Accounts   uint64  `help:"Number of accounts." default:"100" placeholder:"N" group:"Synthetic load:"`
	From       string  `help:"First usage day." default:"2025-01-01" placeholder:"DAY" group:"Synthetic load:"`
	Days       int     `help:"Number of usage days that --count records cover." default:"7" placeholder:"N" group:"Synthetic load:"`
	EventBytes int     `name:"event-bytes" help:"Size of an event in bytes; it is never cut below what its fields take." default:"300" placeholder:"BYTES" group:"Synthetic load:"`
	IDs        IDForm  `name:"ids" help:"Event ids: uuid4 (random), uuid7 or ulid (growing with time)." default:"uuid4" placeholder:"FORM" group:"Synthetic load:"`
	Late       float64 `help:"Share of events that come two to seven days after their usage day." default:"0.01" placeholder:"SHARE" group:"Synthetic load:"`
	Corrected  float64 `help:"Share of records that give an earlier event another cost." default:"0.01" placeholder:"SHARE" group:"Synthetic load:"`
	Moved      float64 `help:"Share of records that move an earlier event to another day or account." default:"0.002" placeholder:"SHARE" group:"Synthetic load:"`
	Duplicate  float64 `help:"Share of records that repeat an earlier one." default:"0.02" placeholder:"SHARE" group:"Synthetic load:"`
	Broken     float64 `help:"Share of records that cannot be an event." default:"0.001" placeholder:"SHARE" group:"Synthetic load:"`
}

// Validate returns all faults in one error.
func (c *GeneratorConfig) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Count < 0 {
		fault("--count is negative")
	}
	if c.Rate < 0 {
		fault("--rate is negative")
	}
	if c.Count == 0 && c.Rate == 0 {
		fault("--count 0 never ends: give --rate, or a count")
	}
	if c.Tenants < 1 || c.Tenants > 1000 {
		fault("--tenants must be 1 to 1000")
	}
	if c.Accounts < max(c.Tenants, 1) || c.Accounts > 10_000_000 {
		fault("--accounts must be at least --tenants and at most 10,000,000")
	}
	if t, err := time.Parse(time.DateOnly, c.From); err != nil || t.Year() < 1971 || t.Year() > 2200 {
		fault("--from: %q is not a day from 1971 to 2200", c.From)
	}
	if c.Days < 1 || c.Days > 20_000 {
		fault("--days must be 1 to 20,000")
	}
	if c.EventBytes < 0 || c.EventBytes > MaxRecordBytes-64 {
		fault("--event-bytes must be 0 to %d", MaxRecordBytes-64)
	}
	if c.IDs != RandomIDs && c.IDs != TimeIDs && c.IDs != ULIDs {
		fault("--ids: %q is not one of uuid4, uuid7, ulid", string(c.IDs))
	}
	sum := 0.0
	for _, s := range []struct {
		flag  string
		share float64
	}{{"--late", c.Late}, {"--corrected", c.Corrected}, {"--moved", c.Moved}, {"--duplicate", c.Duplicate}, {"--broken", c.Broken}} {
		if !(s.share >= 0 && s.share <= 1) {
			fault("%s must be a share from 0 to 1", s.flag)
		}
		sum += s.share
	}
	if sum > 1 {
		fault("--late, --corrected, --moved, --duplicate and --broken together are more than 1")
	}
	return errors.Join(faults...)
}

// Generate pushes synthetic records to a sink and returns their number after all are acknowledged. It calls
// progress, if set, from time to time. If ctx ends, it waits for the records that it has pushed.
func Generate(ctx context.Context, c GeneratorConfig, sink Sink, progress func(done, total int64)) (int64, error) {
	if err := c.Validate(); err != nil {
		return 0, err
	}
	g := NewGenerator(c)
	var block arena
	var n int64
	var err error
	began := time.Now()
	for ; c.Count == 0 || n < c.Count; n++ {
		if n%256 == 0 {
			if err = ctx.Err(); err != nil {
				break
			}
			if progress != nil {
				progress(n, c.Count)
			}
		}
		if c.Rate > 0 {
			if err = sleepUntil(ctx, began.Add(time.Duration(float64(n)/c.Rate*float64(time.Second)))); err != nil {
				break
			}
		}
		key, value := g.Record(n)
		kept := block.copy(value)
		if err = sink.Push(ctx, Record{Key: block.copy(key), Value: kept}); err != nil {
			break
		}
	}
	if progress != nil {
		progress(n, c.Count)
	}
	return n, finish(ctx, sink, err)
}

// sleepUntil waits until a time. Waits under a millisecond are skipped, so that a high rate does not sleep for every
// record.
func sleepUntil(ctx context.Context, moment time.Time) error {
	wait := time.Until(moment)
	if wait < time.Millisecond {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

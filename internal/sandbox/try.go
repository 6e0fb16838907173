package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	"daybook/internal/billing"
	"daybook/internal/cli"
	"daybook/internal/dedup"
	"daybook/internal/ingest"
	"daybook/internal/produce"
	"daybook/internal/publish"
	"daybook/internal/state"
)

// Limits of the output of a trial.
const (
	topServices = 10
	badRowsSaid = 5
)

// Errors of a trial.
var (
	// ErrNotMapped: rows could not be mapped to events. They were printed.
	ErrNotMapped = errors.New("some rows could not be mapped to events and are not in the totals")
	// ErrNothingAccepted: no row was accepted.
	ErrNothingAccepted = errors.New("no row was accepted")
	// ErrNotAccountedFor: the output does not equal the input.
	ErrNotAccountedFor = errors.New("rows or money are not accounted for")
)

// Trial loads, ingests and publishes a bill in a directory of its own and accounts for every row.
type Trial struct {
	Files  []string
	Load   produce.Config // ExportedAt empty: when the newest file was last changed
	Rules  ingest.RulesConfig
	Dir    string // empty or missing; "": a new one, which Run names
	Out    io.Writer
	Errors io.Writer // receives the bad rows
	Log    *slog.Logger
	Amount func(cli.Amount) string // how amounts are printed; nil: for display
	// Progress, if set, is called with the progress of a step; an empty step ends the last one.
	Progress func(step, unit string, done, total int64)
}

// trialResult is the result of a trial.
type trialResult struct {
	load        produce.Summary
	pushed      costSum
	intake      recordCounts
	quarantined []quarantineTotal
	newest      billing.Day
}

// quarantineTotal counts the quarantined records of one reason.
type quarantineTotal struct {
	reason   billing.Reason
	records  int64
	costs    int64 // records whose cost could be read
	readable billing.Money
}

// Run runs the trial. Its data remains in a directory that Run prints.
func (t *Trial) Run(ctx context.Context) (err error) {
	if t.Amount == nil {
		t.Amount = cli.Amount.Display
	}
	if t.Progress == nil {
		t.Progress = func(string, string, int64, int64) {}
	}
	if t.Load.ExportedAt == "" {
		at, err := newestChange(t.Files)
		if err != nil {
			return err
		}
		t.Load.ExportedAt = at.UTC().Format(time.RFC3339)
	}
	dir, err := newDir(t.Dir, "daybook-try-")
	if err != nil {
		return err
	}
	b, err := openInstallation(ctx, dir, t.Rules, DefaultPartitions, false, t.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	var o trialResult
	if err := t.load(ctx, b, &o); err != nil {
		if t.Dir == "" && o.load.Pushed == 0 {
			// A file that cannot be loaded leaves nothing.
			return errors.Join(err, b.Close(), os.RemoveAll(dir))
		}
		return err
	}
	t.say("Your bill, in %s\n", dir)
	if err := b.ingest(ctx, func(done, _ int64) { t.Progress("ingest", "records", done, o.load.Pushed) }); err != nil {
		return err
	}
	if err := b.read(o.read); err != nil {
		return err
	}
	if o.newest == math.MinInt32 {
		return errors.Join(t.account(&o, nil), ErrNothingAccepted)
	}
	releases, err := t.publish(ctx, b, o.newest)
	if err != nil {
		return err
	}
	if err := t.account(&o, releases); err != nil {
		return err
	}
	for _, r := range releases {
		if err := t.show(r, len(releases) > 1); err != nil {
			return err
		}
	}
	if o.load.BadRows > 0 {
		return fmt.Errorf("%w (%s, named above)", ErrNotMapped, cli.Plural(o.load.BadRows, "row"))
	}
	return nil
}

// load pushes the files to the topic.
func (t *Trial) load(ctx context.Context, b *installation, o *trialResult) (err error) {
	o.load, err = b.push(ctx, &produce.Load{
		Config: t.Load,
		Files:  t.Files,
		Check:  func(_ string, _ int, event []byte) { o.pushed.add(event) },
		OnBadRow: func(row produce.BadRow) error {
			if o.load.BadRows++; o.load.BadRows <= badRowsSaid {
				_, _ = fmt.Fprintf(t.Errors, "not mapped: %s\n", row)
			}
			return nil
		},
		Progress: func(done, total int64) { t.Progress("load", "bytes", done, total) },
	})
	if more := o.load.BadRows - badRowsSaid; err == nil && more > 0 {
		_, _ = fmt.Fprintf(t.Errors, "not mapped: %s more\n", cli.Plural(more, "row"))
	}
	return err
}

// read reads the outcomes of the records from the state.
func (o *trialResult) read(r *state.Reader) error {
	if err := o.intake.read(r); err != nil {
		return err
	}
	by := map[billing.Reason]*quarantineTotal{}
	for q, err := range r.Quarantine(false) {
		if err != nil {
			return err
		}
		h := by[q.Rejection.Reason]
		if h == nil {
			h = &quarantineTotal{reason: q.Rejection.Reason}
			by[h.reason] = h
		}
		h.records++
		if q.Rejection.HasCost {
			var ok bool
			if h.readable, ok = h.readable.Add(q.Rejection.Cost); !ok {
				return fmt.Errorf("sum of quarantine (%s) leaves DECIMAL(38,18)", h.reason)
			}
			h.costs++
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(by)) {
		o.quarantined = append(o.quarantined, *by[reason])
	}
	slices.SortStableFunc(o.quarantined, func(a, b quarantineTotal) int { return cmp.Compare(b.records, a.records) })
	o.newest = math.MinInt32
	tenants, err := r.Tenants()
	if err != nil {
		return err
	}
	for _, tenant := range tenants {
		for m, err := range r.Markers(tenant, math.MinInt32, math.MaxInt32) {
			if err != nil {
				return err
			}
			if m.Changes&^dedup.Withheld != 0 { // a rejected record may name any day
				o.newest = max(o.newest, m.AccountDay.Day)
			}
		}
	}
	return nil
}

// publish publishes as of the cutoff of the newest day. If the cutoff is in the future, the day is published as
// incomplete, because more events may arrive.
func (t *Trial) publish(ctx context.Context, b *installation, newest billing.Day) ([]*release, error) {
	c := publish.DefaultConfig()
	c.AsOf = publish.AsOf{Time: c.Cutoff.Of(newest)}
	c.AllowIncomplete = true
	c.AllowEmptyDays = true // a bill may have days without a charge
	report, err := b.publish(ctx, c, func(_ billing.TenantID, done, total int64) { t.Progress("publish", "days", done, total) })
	t.Progress("", "", 0, 0)
	if err != nil {
		return nil, err
	}
	var releases []*release
	for _, tenant := range report.Tenants {
		if tenant.Release == 0 {
			continue // all its records are quarantined
		}
		r, err := current(b.lake, tenant.Tenant, t.Amount)
		if err != nil {
			return nil, err
		}
		releases = append(releases, r)
	}
	return releases, nil
}

// account prints the outcome of every row, and fails if one is missing.
func (t *Trial) account(o *trialResult, releases []*release) error {
	var total billing.Money
	var events int64
	for _, r := range releases {
		sum, _, n, err := r.total()
		if err != nil {
			return err
		}
		var ok bool
		if total, ok = total.Add(sum); !ok {
			return errors.New("sum of the releases leaves DECIMAL(38,18)")
		}
		events += n
	}
	quarantined, withCost, quarantinedUSD := int64(0), int64(0), billing.Money{}
	rows := [][]string{
		{"rows in, exported at " + t.Load.ExportedAt, cli.Count(o.load.Rows), t.Amount(&o.pushed)},
		{"accepted", cli.Count(o.intake.accepted()), t.Amount(total)},
	}
	if n := o.intake.outcomes[billing.New]; n != o.intake.accepted() {
		for _, kind := range []billing.Outcome{billing.New, billing.Replaced, billing.Duplicate, billing.Superseded, billing.Deleted} {
			if n := o.intake.outcomes[kind]; n > 0 {
				rows = append(rows, []string{"  " + kind.String(), cli.Count(n), ""})
			}
		}
	}
	for _, h := range o.quarantined {
		rows = append(rows, []string{"quarantined: " + string(h.reason), cli.Count(h.records), t.Amount(h.readable)})
		quarantined += h.records
		withCost += h.costs
		var ok bool
		if quarantinedUSD, ok = quarantinedUSD.Add(h.readable); !ok {
			return errors.New("sum of quarantine leaves DECIMAL(38,18)")
		}
	}
	if len(o.quarantined) == 0 {
		rows = append(rows, []string{"quarantined", "0", t.Amount(billing.Money{})})
	}
	rows = append(rows, []string{"not mapped", cli.Count(o.load.BadRows), ""})
	if err := cli.Table(t.Out, []string{"rows", ">records", ">cost_usd"}, rows); err != nil {
		return err
	}

	if o.load.Rows != o.intake.accepted()+quarantined+o.load.BadRows {
		return fmt.Errorf("%w: %d rows in, %d accepted, %d quarantined, %d not mapped",
			ErrNotAccountedFor, o.load.Rows, o.intake.accepted(), quarantined, o.load.BadRows)
	}
	t.say("Every row is accounted for: %s = %s accepted + %s quarantined + %s not mapped.",
		cli.Count(o.load.Rows), cli.Count(o.intake.accepted()), cli.Count(quarantined), cli.Count(o.load.BadRows))
	return t.compare(o, total.Add, events, quarantined-withCost, quarantinedUSD)
}

// compare compares the published money with the pushed money. This is possible only if each accepted row is a separate
// event and each cost could be parsed.
func (t *Trial) compare(o *trialResult, plus func(billing.Money) (billing.Money, bool), events, unreadable int64, held billing.Money) error {
	if versions := o.intake.accepted() - events; versions != 0 {
		t.say("%s other versions of charges that already count once: their amounts do not count again.", isOrAre(versions))
		return nil
	}
	if o.pushed.unreadable != unreadable {
		return nil // a cost that only one side can parse is in quarantine
	}
	out, ok := plus(held)
	if !ok || !o.pushed.equals(out) {
		return fmt.Errorf("%w: %s USD went in, %s came out", ErrNotAccountedFor, o.pushed.String(), out)
	}
	rounded := ""
	if o.pushed.rounded > 0 {
		rounded = fmt.Sprintf(" (%s had more than %d decimal places and %s rounded half-even, each once)",
			cli.Plural(o.pushed.rounded, "row"), billing.Scale, wasOrWere(o.pushed.rounded))
	}
	t.say("The amounts too, added up separately from the text of the rows: %s USD = accepted + quarantined%s.", t.Amount(&o.pushed), rounded)
	return nil
}

// show prints one tenant's release.
func (t *Trial) show(r *release, named bool) error {
	if named {
		t.say("\nTenant %s", r.manifest.Tenant)
	}
	months, err := r.months()
	if err != nil {
		return err
	}
	t.say("")
	if err := cli.Table(t.Out, []string{"month", ">total_cost_usd", ">days", ">complete", ">events"}, months); err != nil {
		return err
	}
	services, err := r.topServices(topServices)
	if err != nil {
		return err
	}
	t.say("")
	if err := cli.Table(t.Out, []string{"service_name", ">total_cost_usd", ">events"}, services); err != nil {
		return err
	}
	t.say("\nRelease %d as of %s; %s passed:\n  %s", r.manifest.Release, stamp(r.manifest.AsOf), cli.Plural(int64(len(r.manifest.Gates)), "gate"), r.dir)
	t.say("Read it with DuckDB:\n  %s", r.duckdb())
	return nil
}

func (t *Trial) say(format string, args ...any) {
	_, _ = fmt.Fprintf(t.Out, format+"\n", args...) // a closed output is not an error of the trial
}

// newestChange is the latest modification time of the files, or now if that is earlier.
func newestChange(files []string) (time.Time, error) {
	var newest time.Time
	for _, name := range files {
		if name == produce.Stdin {
			return time.Time{}, errors.New("standard input has no modification time: give --exported-at")
		}
		info, err := os.Stat(name)
		if err != nil {
			return time.Time{}, err
		}
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	if now := time.Now(); newest.After(now) {
		return now, nil
	}
	return newest, nil
}

func isOrAre(n int64) string {
	if n == 1 {
		return "1 accepted row is one of the"
	}
	return cli.Count(n) + " accepted rows are"
}

func wasOrWere(n int64) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

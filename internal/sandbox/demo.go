package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"daybook/internal/billing"
	"daybook/internal/cli"
	"daybook/internal/ingest"
	"daybook/internal/produce"
	"daybook/internal/publish"
)

// demoMark is an empty file in the directory of a demonstration, which --replace looks for.
const demoMark = ".daybook-demo"

// ErrUnexpectedOutput is returned if a demonstration shows something else than it announces.
var ErrUnexpectedOutput = errors.New("unexpected output of the demonstration")

// Demo shows one week of events: a release, a late correction, and a second release that differs in one day.
type Demo struct {
	Dir     string // empty or missing; "": a new one, which Run prints
	Replace bool   // remove Dir first if an earlier demonstration made it
	Out     io.Writer
	Log     *slog.Logger
	Amount  func(cli.Amount) string // how amounts are printed; nil: for display
}

// Run runs the demonstration. Its data remains in a directory that Run prints.
func (d *Demo) Run(ctx context.Context) (err error) {
	if d.Replace {
		if err := removeDemo(d.Dir); err != nil {
			return err
		}
	}
	dir, err := newDir(d.Dir, "daybook-demo-")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, demoMark), nil, 0o644); err != nil {
		return fmt.Errorf("mark directory: %w", err)
	}
	b, err := openInstallation(ctx, dir, ingest.RulesConfig{}, DefaultPartitions, true, d.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()

	d.say("A week of billing events, %s to %s, in %s", weekFrom, weekTo, dir)
	if err := d.turn(ctx, b, "events.jsonl", week()); err != nil {
		return err
	}
	first, err := d.release(ctx, b, firstAsOf)
	if err != nil {
		return err
	}
	if err := first.printDaily(d.Out, func(billing.Day) bool { return true }); err != nil {
		return err
	}

	c, before := correction()
	d.say("\nA late correction: %s of %s costs %s, not %s", c.ID, c.Day, c.Cost, before)
	if err := d.turn(ctx, b, "correction.jsonl", []charge{c}); err != nil {
		return err
	}
	second, err := d.release(ctx, b, secondAsOf)
	if err != nil {
		return err
	}
	if err := second.printDaily(d.Out, func(day billing.Day) bool { return day.String() == correctedDay }); err != nil {
		return err
	}
	d.say("\nRestated, as account_day_changes keeps it:")
	if err := second.printChanges(d.Out); err != nil {
		return err
	}
	if err := d.files(second, correctedDay); err != nil {
		return err
	}

	d.say("\nRead it with DuckDB:\n  %s", second.duckdb())
	d.say("\nEverything is in %s: broker/ (the topic), state/ (the system of record), lake/ (the releases).", dir)
	d.say("List the releases, and show what the second one changed:\n  go run ./cmd/publisher list --lake %[1]s/lake\n  go run ./cmd/publisher show --lake %[1]s/lake 2", dir)
	return nil
}

// removeDemo removes a directory that a demonstration made. A missing one is no error.
func removeDemo(dir string) error {
	if dir == "" {
		return errors.New("--replace needs --dir DIR")
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if _, err := os.Stat(filepath.Join(dir, demoMark)); err != nil {
		return fmt.Errorf("directory %s was not made by a demonstration: %w; name another with --dir", dir, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the earlier demonstration: %w", err)
	}
	return nil
}

// turn writes charges to a file, pushes the file and ingests until caught up.
func (d *Demo) turn(ctx context.Context, b *installation, name string, charges []charge) error {
	file := filepath.Join(b.dir, name)
	if err := os.WriteFile(file, jsonLines(charges...), 0o644); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	var before, after recordCounts
	if err := b.read(before.read); err != nil {
		return err
	}
	sum, err := b.push(ctx, &produce.Load{
		Config: produce.Config{Format: produce.JSONLines, Delimiter: ",", BadRows: produce.ReportBadRows},
		Files:  []string{file},
	})
	if err != nil {
		return err
	}
	d.say("  produce    %s of %s to topic %s on %s", cli.Plural(sum.Pushed, "record"), name, topicName, b.broker.Addr())
	if err := b.ingest(ctx, nil); err != nil {
		return err
	}
	if err := b.read(after.read); err != nil {
		return err
	}
	d.say("  ingest     %s", after.since(before))
	return nil
}

// release publishes as of asOf and opens the new release.
func (d *Demo) release(ctx context.Context, b *installation, asOf string) (*release, error) {
	at, err := time.Parse(time.RFC3339, asOf)
	if err != nil {
		return nil, err
	}
	c := publish.DefaultConfig()
	c.AsOf = publish.AsOf{Time: at}
	if _, err := b.publish(ctx, c, nil); err != nil {
		return nil, err
	}
	r, err := current(b.lake, billing.DefaultTenant, d.Amount)
	if err != nil {
		return nil, err
	}
	sum, accountDays, events, err := r.total()
	if err != nil {
		return nil, err
	}
	d.say("  publisher  release %d as of %s: %s from %s, %s USD\n", r.manifest.Release, stamp(r.manifest.AsOf),
		cli.Plural(accountDays, "account-day"), cli.Plural(events, "event"), r.amount(sum))
	return r, nil
}

// files shows that a release wrote only files of one day.
func (d *Demo) files(r *release, day string) error {
	own, linked := r.written()
	d.say("\nWritten by release %d; the other %s are hard links to release %d's:", r.manifest.Release, cli.Plural(int64(linked), "file"), r.manifest.Previous)
	for _, f := range own {
		d.say("  %s", f.Path)
		if f.Day != nil && f.Day.String() != day {
			return fmt.Errorf("%w: release %d wrote %s, which is not of %s", ErrUnexpectedOutput, r.manifest.Release, f.Path, day)
		}
	}
	return nil
}

func (d *Demo) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.Out, format+"\n", args...) // a closed output is not an error of the demonstration
}

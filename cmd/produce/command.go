package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"daybook/internal/cli"
	"daybook/internal/delivery"
	"daybook/internal/kafka"
	"daybook/internal/produce"
)

// command is the only command of the program.
type command struct {
	Files []string `arg:"" optional:"" name:"file" help:"Files to read; - is standard input."`

	Topic      string `help:"Topic to push to." env:"DAYBOOK_TOPIC" placeholder:"NAME"`
	Partitions int    `name:"create-partitions" help:"Create the topic, if it is missing, with this many partitions and without expiry; 0: do not create it." default:"0" placeholder:"N"`

	produce.Config `embed:""`

	Deliveries produce.DeliveryConfig `embed:""`
	Rebuild    bool                   `name:"rebuild-deliveries" help:"Push nothing: read the topic from its start and write the indexes in --deliveries again." group:"Deliveries:"`

	DryRun       bool   `name:"dry-run" help:"Push nothing: print the events as JSON lines."`
	ValidateOnly bool   `name:"validate" help:"Push nothing: apply ingest's default rules to every event and report which it would quarantine. Exit 4 if there are any."`
	Rejects      string `help:"File to write the bad rows to, as JSON lines with file, line, reason and the row." placeholder:"FILE"`
	JSON         bool   `name:"json" help:"Print the summary as JSON."`

	Kafka kafka.Config `embed:""`

	Generate  bool                    `help:"Push synthetic load instead of files." group:"Synthetic load:"`
	Synthetic produce.GeneratorConfig `embed:""`
}

// Run loads the files, or synthetic load.
func (c *command) Run(ctx *cli.Context) error {
	if err := c.usage(ctx); err != nil {
		return cli.Exit(cli.ExitUsage, err)
	}
	switch {
	case c.Generate:
		return c.generate(ctx)
	case c.Rebuild:
		return c.rebuild(ctx)
	}
	report := newReport(ctx, c.ValidateOnly)
	if c.Rejects != "" {
		f, err := os.Create(c.Rejects)
		if err != nil {
			return fmt.Errorf("write --rejects: %w", err)
		}
		report.rejects = f
	}
	load := &produce.Load{
		Config: c.Config, Files: c.Files, Stdin: os.Stdin,
		OnBadRow: report.badRow, Check: report.validator(),
	}
	sink, pusher, closeSink, err := c.sink(ctx)
	if err != nil {
		return err
	}
	defer closeSink()
	load.Sink = sink
	if c.Topic != "" {
		load.Delivery = &produce.Delivery{DeliveryConfig: c.Deliveries, Topic: c.Topic, DryRun: c.DryRun || c.ValidateOnly}
		if pusher != nil {
			load.Delivery.TopicID, load.Delivery.Log = pusher.TopicID(), pusher
		}
	}
	progress := ctx.NewProgress("read", "B", 0)
	defer progress.Close()
	load.Progress = progress.Set
	sum, err := load.Run(ctx, ctx.Now())
	progress.Close()
	return exit(report.end(c, sum, err))
}

// exit returns an error of deliveries with its exit code.
func exit(err error) error {
	switch {
	case errors.Is(err, delivery.ErrRefused), errors.Is(err, delivery.ErrStale):
		return cli.Exit(cli.ExitGate, err)
	case errors.Is(err, delivery.ErrLocked):
		return cli.Exit(cli.ExitLocked, err)
	}
	return err
}

// rebuild writes the indexes of deliveries again, from the topic.
func (c *command) rebuild(ctx *cli.Context) error {
	progress := ctx.NewProgress("rebuild", "records", 0)
	defer progress.Close()
	all, err := produce.RebuildDeliveries(ctx, c.Kafka, c.Topic, c.Deliveries.Dir, ctx.Log, progress.Set)
	progress.Close()
	if err != nil {
		return exit(err)
	}
	if c.JSON {
		return cli.JSON(ctx.Stdout, all)
	}
	if len(all) == 0 {
		fmt.Fprintf(ctx.Stdout, "topic %s has no record of a delivery\n", c.Topic)
	}
	for _, s := range all {
		fmt.Fprintf(ctx.Stdout, "%s: %s records, %s current ids\n", s.Source, cli.Count(s.Records), cli.Count(s.Held))
	}
	return nil
}

// generate pushes synthetic load.
func (c *command) generate(ctx *cli.Context) error {
	sink, _, closeSink, err := c.sink(ctx)
	if err != nil {
		return err
	}
	defer closeSink()
	progress := ctx.NewProgress("generate", "records", c.Synthetic.Count)
	defer progress.Close()
	began := ctx.Now()
	n, err := produce.Generate(ctx, c.Synthetic, sink, progress.Set)
	progress.Close()
	sum := produce.Summary{Rows: n, Pushed: n}
	if c.JSON {
		if printErr := cli.JSON(c.summaryTo(ctx), sum); printErr != nil && err == nil {
			err = printErr
		}
	} else {
		took := ctx.Now().Sub(began)
		fmt.Fprintf(c.summaryTo(ctx), "%s synthetic records in %.1f s, %s a second\n", cli.Count(n), took.Seconds(), cli.Count(int64(float64(n)/max(took.Seconds(), 1e-9))))
	}
	if stopped(err) && c.Synthetic.Count == 0 {
		return nil // an endless load ends when it is stopped
	}
	return err
}

// usage returns all faults of the command line.
func (c *command) usage(ctx *cli.Context) error {
	var faults []error
	if c.Generate && len(c.Files) > 0 {
		faults = append(faults, errors.New("--generate and files exclude each other: give one"))
	}
	if c.Rebuild && (c.Generate || len(c.Files) > 0) {
		faults = append(faults, errors.New("--rebuild-deliveries pushes nothing: leave out files and --generate"))
	}
	if c.Rebuild && c.Deliveries.Dir == "" {
		faults = append(faults, errors.New("--rebuild-deliveries needs --deliveries DIR"))
	}
	if len(c.Files) == 0 && !c.Generate && !c.Rebuild {
		faults = append(faults, errors.New("nothing to read: name files, - for standard input, or --generate"))
	}
	if c.ValidateOnly && (c.DryRun || c.Generate || c.Rebuild) {
		faults = append(faults, errors.New("--validate excludes --dry-run, --generate and --rebuild-deliveries: give one"))
	}
	if c.Topic == "" && c.Deliveries.Replaces != nil {
		faults = append(faults, errors.New("--topic is missing: each topic has deliveries of its own"))
	} else if c.Topic == "" && !c.DryRun && !c.ValidateOnly {
		faults = append(faults, errors.New("--topic is missing: name the topic to push to, or add --dry-run or --validate"))
	}
	return errors.Join(append(faults, c.Validate(ctx.Now()), c.Deliveries.Validate(&c.Config))...)
}

// sink returns the destination of the records, the pusher if that is the destination, and a function that closes it.
func (c *command) sink(ctx *cli.Context) (sink produce.Sink, pusher *produce.Pusher, done func(), err error) {
	switch {
	case c.ValidateOnly:
		return produce.Discard{}, nil, func() {}, nil
	case c.DryRun:
		return produce.NewPrinter(ctx.Stdout), nil, func() {}, nil
	}
	pusher, err = produce.NewPusher(ctx, c.Kafka, c.Topic, c.Partitions, ctx.Log)
	if err != nil {
		return nil, nil, nil, err
	}
	return pusher, pusher, func() { _ = pusher.Close() }, nil
}

// summaryTo returns the destination of the summary. Standard output belongs to the events of a dry run.
func (c *command) summaryTo(ctx *cli.Context) io.Writer {
	if c.DryRun {
		return ctx.Stderr
	}
	return ctx.Stdout
}

// stopped reports whether a signal ended the load.
func stopped(err error) bool { return errors.Is(err, context.Canceled) }

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"daybook/internal/cli"
	"daybook/internal/kafka"
	"daybook/internal/produce"
)

// command is the program's one command.
type command struct {
	Files []string `arg:"" optional:"" name:"file" help:"Files to read; - is standard input."`

	Topic      string `help:"Topic to push to." env:"DAYBOOK_TOPIC" placeholder:"NAME"`
	Partitions int    `name:"create-partitions" help:"Create the topic, if it is missing, with so many partitions and without expiry; 0: do not create it." default:"0" placeholder:"N"`

	produce.Config `embed:""`

	DryRun  bool   `name:"dry-run" help:"Print the events as JSON lines instead of pushing them."`
	Check   bool   `help:"Judge every event as ingest would with its default rules, and report what would be quarantined."`
	Rejects string `help:"File to write the bad rows to, as JSON lines with file, line, reason and the row." placeholder:"FILE"`
	JSON    bool   `name:"json" help:"Print the summary as JSON."`

	Kafka kafka.Config `embed:""`

	Generate  bool                    `help:"Push synthetic load instead of files." group:"Synthetic load:"`
	Synthetic produce.GeneratorConfig `embed:""`
}

// Run loads the files, or synthetic load.
func (c *command) Run(ctx *cli.Context) error {
	if err := c.usage(ctx); err != nil {
		return cli.Exit(cli.ExitUsage, err)
	}
	if c.Generate {
		return c.generate(ctx)
	}
	report := newReport(ctx, c.Check)
	if c.Rejects != "" {
		f, err := os.Create(c.Rejects)
		if err != nil {
			return fmt.Errorf("write --rejects: %w", err)
		}
		report.rejects = f
	}
	sink, closeSink, err := c.sink(ctx)
	if err != nil {
		return err
	}
	defer closeSink()

	progress := ctx.NewProgress("read", "B", 0)
	defer progress.Close()
	load := &produce.Load{
		Config: c.Config, Files: c.Files, Stdin: os.Stdin, Sink: sink,
		OnBadRow: report.badRow, Check: report.check(), Progress: progress.Set,
	}
	sum, err := load.Run(ctx, ctx.Now())
	progress.Close()
	return report.end(c, sum, err)
}

// generate pushes synthetic load.
func (c *command) generate(ctx *cli.Context) error {
	sink, closeSink, err := c.sink(ctx)
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
		return nil // endless load ends by being stopped
	}
	return err
}

// usage reports what is wrong with the command line.
func (c *command) usage(ctx *cli.Context) error {
	var faults []error
	if c.Generate && len(c.Files) > 0 {
		faults = append(faults, errors.New("--generate and files exclude each other: give one"))
	}
	if len(c.Files) == 0 && !c.Generate {
		faults = append(faults, errors.New("nothing to read: name files, - for standard input, or --generate"))
	}
	if c.Topic == "" && !c.DryRun {
		faults = append(faults, errors.New("--topic is missing: name the topic to push to, or add --dry-run"))
	}
	return errors.Join(append(faults, c.Validate(ctx.Now()))...)
}

// sink is where the records go, and what ends it.
func (c *command) sink(ctx *cli.Context) (produce.Sink, func(), error) {
	if c.DryRun {
		return produce.NewPrinter(ctx.Stdout), func() {}, nil
	}
	pusher, err := produce.NewPusher(ctx, c.Kafka, c.Topic, c.Partitions, ctx.Log)
	if err != nil {
		return nil, nil, err
	}
	return pusher, func() { _ = pusher.Close() }, nil
}

// summaryTo is where the summary goes: standard output belongs to the events of
// a dry run.
func (c *command) summaryTo(ctx *cli.Context) io.Writer {
	if c.DryRun {
		return ctx.Stderr
	}
	return ctx.Stdout
}

// stopped reports whether the load ended because it was told to.
func stopped(err error) bool { return errors.Is(err, context.Canceled) }

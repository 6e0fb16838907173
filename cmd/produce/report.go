package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"daybook/internal/billing"
	"daybook/internal/cli"
	"daybook/internal/decode"
	"daybook/internal/produce"
)

// shown is the most bad rows, and the most verdicts of --validate, that are printed one by one. All are counted, and
// --rejects has all bad rows.
const shown = 20

// report counts and prints what happened to rows.
type report struct {
	ctx     *cli.Context
	rejects io.WriteCloser // nil without --rejects
	bad     int
	decoder *decode.Decoder // nil without --validate
	now     time.Time
	refused map[billing.Reason]int64
	rounded int64
}

func newReport(ctx *cli.Context, validate bool) *report {
	r := &report{ctx: ctx, now: ctx.Now(), refused: map[billing.Reason]int64{}}
	if validate {
		r.decoder = decode.New(billing.DefaultRules())
	}
	return r
}

// badRow prints a row that could not be mapped.
func (r *report) badRow(b produce.BadRow) error {
	if r.bad++; r.bad <= shown {
		fmt.Fprintf(r.ctx.Stderr, "bad row: %s\n", b)
	} else if r.bad == shown+1 && r.rejects == nil {
		fmt.Fprintf(r.ctx.Stderr, "bad row: more are counted, not shown: --rejects FILE writes them all\n")
	}
	if r.rejects == nil {
		return nil
	}
	if err := b.WriteJSON(r.rejects); err != nil {
		return fmt.Errorf("write --rejects: %w", err)
	}
	return nil
}

// validator returns the function that applies ingest's rules to an event; nil without --validate.
func (r *report) validator() func(file string, line int, event []byte) {
	if r.decoder == nil {
		return nil
	}
	var seen int64
	return func(file string, line int, event []byte) {
		var e billing.Event
		rounded, rejection := r.decoder.Decode(decode.Record{Source: billing.Source{RecordTime: r.now.UnixMilli()}, Value: event}, &e)
		if rounded {
			r.rounded++
		}
		if rejection == nil {
			return
		}
		r.refused[rejection.Reason]++
		if seen++; seen <= shown {
			fmt.Fprintf(r.ctx.Stderr, "validate: %s:%d: ingest would quarantine it: %s\n", file, line, rejection)
		}
	}
}

// end prints the summary and returns the error of the command.
func (r *report) end(c *command, sum produce.Summary, err error) error {
	if r.rejects != nil {
		if closeErr := r.rejects.Close(); closeErr != nil && err == nil {
			err = fmt.Errorf("write --rejects: %w", closeErr)
		}
	}
	out := c.summaryTo(r.ctx)
	switch {
	case err != nil && sum.Rows == 0: // no rows to summarize
	case c.JSON:
		doc := struct {
			produce.Summary
			Quarantined map[billing.Reason]int64 `json:"would_be_quarantined,omitempty"`
			Rounded     int64                    `json:"would_be_rounded,omitempty"`
		}{sum, r.refused, r.rounded}
		if printErr := cli.JSON(out, doc); printErr != nil && err == nil {
			err = printErr
		}
	default:
		r.print(out, c, sum)
	}
	switch {
	case err != nil && stopped(err):
		return fmt.Errorf("stopped after %d rows: run the same command again; rows pushed already do no harm", sum.Rows)
	case err != nil:
		return err
	case sum.BadRows > 0 && c.BadRows == produce.ReportBadRows:
		return fmt.Errorf("%d of %d rows could not be mapped and were not pushed: fix them and run again, or add --bad-rows push to send them to quarantine", sum.BadRows, sum.Rows)
	case r.quarantined() > 0:
		return cli.Exit(cli.ExitGate, fmt.Errorf("ingest would quarantine %d of %d events under its default rules", r.quarantined(), sum.Pushed))
	}
	return nil
}

// print writes the summary for a person.
func (r *report) print(out io.Writer, c *command, sum produce.Summary) {
	verb, to := "pushed", " to "+c.Topic
	switch {
	case c.ValidateOnly:
		verb, to = "validated", ""
	case c.DryRun:
		verb, to = "printed", ""
	}
	fmt.Fprintf(out, "%s: %s rows read, %s %s%s, %s bad\n", files(sum.Files), cli.Count(sum.Rows), cli.Count(sum.Pushed), verb, to, cli.Count(sum.BadRows))
	if sum.Deleted > 0 {
		fmt.Fprintf(out, "%s deleted: an earlier delivery of these days has them and this one does not\n", cli.Count(sum.Deleted))
	}
	if sum.Newer > 0 {
		fmt.Fprintf(out, "%s rows not %s: a newer delivery has their days\n", cli.Count(sum.Newer), verb)
	}
	if sum.Undated > 0 {
		fmt.Fprintf(out, "%s events have no ingested_at: the time of pushing decides which version wins; --exported-at TIME makes that repeatable\n", cli.Count(sum.Undated))
	}
	if r.decoder == nil {
		return
	}
	for _, reason := range slices.Sorted(maps.Keys(r.refused)) {
		fmt.Fprintf(out, "validate: %s would be quarantined: %s\n", cli.Count(r.refused[reason]), reason)
	}
	if r.quarantined() == 0 {
		fmt.Fprintln(out, "validate: none would be quarantined")
	}
	if r.rounded > 0 {
		fmt.Fprintf(out, "validate: %s would be rounded to 18 decimal places\n", cli.Count(r.rounded))
	}
}

// quarantined is the number of events that ingest would quarantine.
func (r *report) quarantined() (total int64) {
	for _, n := range r.refused {
		total += n
	}
	return total
}

// files is a count of files as text.
func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

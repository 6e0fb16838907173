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

// shown bounds how many bad rows, and how many verdicts of --check, are written
// out one by one. All are counted, and --rejects has all bad rows.
const shown = 20

// report says what happened to rows.
type report struct {
	ctx     *cli.Context
	rejects io.WriteCloser // nil without --rejects
	bad     int
	decoder *decode.Decoder // nil without --check
	now     time.Time
	refused map[billing.Reason]int64
	rounded int64
}

func newReport(ctx *cli.Context, check bool) *report {
	r := &report{ctx: ctx, now: ctx.Now(), refused: map[billing.Reason]int64{}}
	if check {
		r.decoder = decode.New(billing.DefaultRules())
	}
	return r
}

// badRow writes out one row that could not be mapped.
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

// check is the function that judges events, nil without --check.
func (r *report) check() func(file string, line int, event []byte) {
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
			fmt.Fprintf(r.ctx.Stderr, "check: %s:%d: ingest would quarantine it: %s\n", file, line, rejection)
		}
	}
}

// end prints the summary and gives the command's error.
func (r *report) end(c *command, sum produce.Summary, err error) error {
	if r.rejects != nil {
		if closeErr := r.rejects.Close(); closeErr != nil && err == nil {
			err = fmt.Errorf("write --rejects: %w", closeErr)
		}
	}
	out := c.summaryTo(r.ctx)
	switch {
	case err != nil && sum.Rows == 0: // nothing to sum up
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
		return fmt.Errorf("%d of %d rows could not be mapped and were not pushed: mend them and run again, or add --bad-rows push to send them to quarantine", sum.BadRows, sum.Rows)
	}
	return nil
}

// print writes the summary for a person.
func (r *report) print(out io.Writer, c *command, sum produce.Summary) {
	verb, to := "pushed", " to "+c.Topic
	if c.DryRun {
		verb, to = "printed", ""
	}
	fmt.Fprintf(out, "%s: %s rows read, %s %s%s, %s bad\n", files(sum.Files), cli.Count(sum.Rows), cli.Count(sum.Pushed), verb, to, cli.Count(sum.BadRows))
	if sum.Deleted > 0 {
		fmt.Fprintf(out, "%s deleted: delivered before for these days, and missing now\n", cli.Count(sum.Deleted))
	}
	if sum.Newer > 0 {
		fmt.Fprintf(out, "%s rows are of days that a newer delivery holds: not %s\n", cli.Count(sum.Newer), verb)
	}
	if sum.Undated > 0 {
		fmt.Fprintf(out, "%s events have no ingested_at: the moment of pushing decides which version wins; --exported-at TIME makes that repeatable\n", cli.Count(sum.Undated))
	}
	if r.decoder == nil {
		return
	}
	var total int64
	for _, reason := range slices.Sorted(maps.Keys(r.refused)) {
		total += r.refused[reason]
		fmt.Fprintf(out, "check: %s would be quarantined: %s\n", cli.Count(r.refused[reason]), reason)
	}
	if total == 0 {
		fmt.Fprintln(out, "check: none would be quarantined")
	}
	if r.rounded > 0 {
		fmt.Fprintf(out, "check: %s would be rounded to 18 decimal places\n", cli.Count(r.rounded))
	}
}

// files counts them in words.
func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

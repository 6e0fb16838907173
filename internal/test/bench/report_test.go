package bench

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// row is one line of the table.
type row struct {
	what     string
	measured string
	beside   string // what it is compared with, in the same run
	target   string
	verdict  verdict
}

// verdict says whether a target was met.
type verdict int

const (
	noTarget verdict = iota // or too few events for one
	met
	missed
)

// judge is met or missed, where there is enough to say so.
func judge(ok bool) verdict {
	switch {
	case *eventCount < 1_000_000:
		return noTarget
	case ok:
		return met
	}
	return missed
}

func (v verdict) String() string { return [...]string{"", "met", "missed"}[v] }

// report is the table in the making. Rows are printed as they come.
type report struct {
	t       *testing.T
	machine []string
	rows    []row
}

func newReport(t *testing.T) *report {
	r := &report{t: t, machine: machine(t)}
	for _, line := range r.machine {
		fmt.Fprintln(os.Stdout, line)
	}
	return r
}

func (r *report) add(one row) {
	r.rows = append(r.rows, one)
	fmt.Fprintf(os.Stdout, "%-62s %-34s %-50s %-28s %s\n", one.what, one.measured, one.beside, one.target, one.verdict)
}

// markdown is the whole table.
func (r *report) markdown() string {
	var b strings.Builder
	for _, line := range r.machine {
		fmt.Fprintf(&b, "%s  \n", line)
	}
	fmt.Fprintf(&b, "%d events a row, %d in the state at most, a day of %d; %s\n\n", *eventCount, *stateCount, *dayCount, time.Now().UTC().Format(time.DateOnly))
	b.WriteString("| what | measured | beside it, in the same run | target | |\n|---|---|---|---|---|\n")
	for _, one := range r.rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", one.what, one.measured, one.beside, one.target, one.verdict)
	}
	return b.String()
}

// The markers of the table in docs/performance.md.
const (
	beginMarker = "<!-- make bench writes below -->\n"
	endMarker   = "<!-- make bench writes above -->\n"
)

// write puts the table into a Markdown file, in the place of the one that is there.
func (r *report) write(path string) {
	r.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	before, rest, begins := bytes.Cut(text, []byte(beginMarker))
	_, after, ends := bytes.Cut(rest, []byte(endMarker))
	if !begins || !ends {
		r.t.Fatalf("%s has no markers to write between", path)
	}
	text = bytes.Join([][]byte{before, []byte(beginMarker + "\n" + r.markdown() + "\n" + endMarker), after}, nil)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// thousands is a rate as the table shows it.
func thousands(rate float64) string {
	switch {
	case rate >= 1e6:
		return fmt.Sprintf("%.2f M/s", rate/1e6)
	case rate >= 1e3:
		return fmt.Sprintf("%.0f k/s", rate/1e3)
	}
	return fmt.Sprintf("%.0f/s", rate)
}

func percent(part, whole float64) string { return fmt.Sprintf("%.0f %%", 100*part/whole) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func micros(d time.Duration) string { return fmt.Sprintf("%.2f µs CPU each", d.Seconds()*1e6) }

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

func million(n int64) string {
	if n >= 1e6 {
		return fmt.Sprintf("%.4g M", float64(n)/1e6)
	}
	return fmt.Sprintf("%.4g k", float64(n)/1e3)
}

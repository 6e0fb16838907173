package produce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"daybook/internal/billing"
	"daybook/internal/delivery"
)

// receiver is a Sink that keeps what ingest would: of each id the greatest version.
type receiver struct {
	winners map[string]receivedEvent
	pushed  int
	fail    int // the record that fails, from 1; 0: none
	failed  error
	marks   []delivery.Mark // of the records, in order: the topic is one partition
	expired int             // records that retention has removed
}

type receivedEvent struct {
	Day string    `json:"usage_date"`
	At  time.Time `json:"ingested_at"`
	Op  string    `json:"op"`
}

var errBroker = errors.New("broker is gone")

func (b *receiver) Push(_ context.Context, r Record) error {
	if b.pushed++; b.pushed == b.fail {
		b.failed = errBroker
	}
	if b.failed != nil {
		return b.failed
	}
	var e receivedEvent
	var mark delivery.Mark
	if err := errors.Join(json.Unmarshal(r.Value, &e), json.Unmarshal(r.Mark, &mark)); err != nil {
		return err
	}
	b.marks = append(b.marks, mark)
	if was, ok := b.winners[string(r.Key)]; !ok || !e.At.Before(was.At) {
		b.winners[string(r.Key)] = e
	}
	return nil
}

func (b *receiver) Flush(context.Context) error { return b.failed }

// Offsets and ReadMarks make it a Topic.
func (b *receiver) Offsets(context.Context) (map[int32]OffsetRange, error) {
	return map[int32]OffsetRange{0: {int64(b.expired), int64(len(b.marks))}}, nil
}

func (b *receiver) ReadMarks(_ context.Context, ranges map[int32]OffsetRange, f func(delivery.Mark) error) error {
	for _, m := range b.marks[ranges[0].First:ranges[0].Next] {
		if err := f(m); err != nil {
			return err
		}
	}
	return nil
}

// held are the ids that count, with their days.
func (b *receiver) held() map[string]string {
	held := map[string]string{}
	for id, e := range b.winners {
		if e.Op != "delete" {
			held[id] = e.Day
		}
	}
	return held
}

// export is one delivery: ids by their day, as of a moment, of a window.
type export struct {
	window delivery.Window
	at     time.Time
	ids    map[string]string
}

// file writes an export as a CSV file.
func (e export) file(t interface{ Fatal(...any) }, dir string) string {
	var text strings.Builder
	text.WriteString("event_id,account_id,service_name,usage_date,cost_usd\n")
	for _, id := range slices.Sorted(maps.Keys(e.ids)) {
		fmt.Fprintf(&text, "%s,a,s,%s,1\n", id, e.ids[id])
	}
	name := filepath.Join(dir, "export.csv")
	if err := os.WriteFile(name, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// deliver loads an export.
func deliver(ctx context.Context, index, file string, e export, sink Sink, more func(*Load)) (Summary, error) {
	l := &Load{
		Config: Config{ExportedAt: e.at.Format(time.RFC3339)}, Files: []string{file}, Sink: sink,
		Delivery: &Delivery{DeliveryConfig: DeliveryConfig{Dir: index, Replaces: &e.window, MaxShrink: 100}, Topic: "billing"},
	}
	l.Delivery.Log, _ = sink.(Topic)
	if more != nil {
		more(l)
	}
	return l.Run(ctx, testNow)
}

func days(from, to int) delivery.Window {
	first, _ := billing.ParseDay("2025-07-01")
	return delivery.Window{From: first + billing.Day(from-1), To: first + billing.Day(to-1)}
}

func exported(day, hour int) time.Time { return time.Date(2025, 8, day, hour, 0, 0, 0, time.UTC) }

// TestDeliveriesInAnyOrder: whatever windows are delivered, in whatever order,
// however often a push breaks off and is run again, each day holds what the
// newest delivery of it has.
func TestDeliveriesInAnyOrder(t *testing.T) {
	root := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		dir := filepath.Join(root, fmt.Sprint(run))
		var exports []export
		for i := range rapid.IntRange(1, 3).Draw(t, "exports") {
			from := rapid.IntRange(1, 60).Draw(t, "from")
			e := export{window: days(from, from+rapid.IntRange(0, 40).Draw(t, "length")), at: exported(1+i, 0), ids: map[string]string{}}
			for range rapid.IntRange(0, 12).Draw(t, "rows") {
				d := e.window.From + billing.Day(rapid.IntRange(0, int(e.window.To-e.window.From)).Draw(t, "day"))
				e.ids[fmt.Sprintf("%s-%d", d, rapid.IntRange(1, 3).Draw(t, "id"))] = d.String()
			}
			exports = append(exports, e)
		}
		want := map[string]string{}
		for _, e := range exports { // by exported_at
			maps.DeleteFunc(want, func(_, day string) bool {
				d, _ := billing.ParseDay(day)
				return e.window.Contains(d)
			})
			maps.Copy(want, e.ids)
		}

		b := &receiver{winners: map[string]receivedEvent{}}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		order := rapid.Permutation(exports).Draw(t, "order")
		for len(order) > 0 {
			e := order[0]
			before := len(b.winners)
			b.pushed, b.fail, b.failed = 0, rapid.IntRange(0, 30).Draw(t, "fail"), nil
			deletes := func() (n int) {
				for _, w := range b.winners {
					if w.Op == "delete" && w.At.Equal(e.at) {
						n++
					}
				}
				return n
			}
			had := deletes()
			_, err := deliver(t.Context(), dir, e.file(t, dir), e, b, nil)
			switch {
			case errors.Is(err, errBroker):
				if b.fail <= len(e.ids) && deletes() != had {
					t.Fatalf("a push that broke off at record %d of %d rows deleted something", b.fail, len(e.ids))
				}
				// Another one may come before it is run again.
				if len(order) > 1 && rapid.Bool().Draw(t, "later") {
					order = append(order[1:], e)
				}
			case errors.Is(err, delivery.ErrRefused):
				if b.pushed > 0 || len(b.winners) != before {
					t.Fatalf("a refused load pushed %d records", b.pushed)
				}
				order = append(order[1:], e) // the unfinished one first
			case err != nil:
				t.Fatal(err)
			default:
				order = order[1:]
			}
		}
		if got := b.held(); !maps.Equal(got, want) {
			t.Fatalf("held %v, want %v", got, want)
		}
	})
}

func TestDelivery(t *testing.T) {
	july := days(1, 31)
	first := export{july, exported(1, 0), map[string]string{"a": "2025-07-01", "b": "2025-07-02", "c": "2025-07-31"}}
	second := export{july, exported(2, 0), map[string]string{"a": "2025-07-01", "b": "2025-07-03", "d": "2025-07-31"}}

	t.Run("replaced, moved within, and run again", func(t *testing.T) {
		dir := t.TempDir()
		b := &receiver{winners: map[string]receivedEvent{}}
		for i, e := range []export{first, second, second, first} {
			sum, err := deliver(t.Context(), dir, e.file(t, dir), e, b, nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := []Summary{
				{Files: 1, Rows: 3, Pushed: 3}, {Files: 1, Rows: 3, Pushed: 4, Deleted: 1}, {Files: 1, Rows: 3, Pushed: 3}, {Files: 1, Rows: 3, Newer: 3},
			}[i]; sum != want {
				t.Errorf("load %d: %+v, want %+v", i, sum, want)
			}
		}
		if got := b.held(); !maps.Equal(got, second.ids) {
			t.Errorf("held %v, want %v", got, second.ids)
		}
	})
	t.Run("moved into days that another delivery holds", func(t *testing.T) {
		dir := t.TempDir()
		b := &receiver{winners: map[string]receivedEvent{}}
		for _, e := range []export{
			first,
			{days(32, 62), exported(2, 0), map[string]string{"c": "2025-08-01"}},
			{july, exported(3, 0), map[string]string{"a": "2025-07-01", "b": "2025-07-02"}},
		} {
			if _, err := deliver(t.Context(), dir, e.file(t, dir), e, b, nil); err != nil {
				t.Fatal(err)
			}
		}
		if got := b.held(); got["c"] != "2025-08-01" || len(got) != 3 {
			t.Errorf("held %v: an event outside the window was deleted", got)
		}
	})
	t.Run("outside the window", func(t *testing.T) {
		dir := t.TempDir()
		var bad []string
		b := &receiver{winners: map[string]receivedEvent{}}
		e := export{days(1, 2), exported(1, 0), first.ids}
		_, err := deliver(t.Context(), dir, e.file(t, dir), e, b, func(l *Load) {
			l.OnBadRow = func(r BadRow) error { bad = append(bad, r.String()); return nil }
		})
		if err == nil || !strings.Contains(err.Error(), "1 of 3 rows") || b.pushed != 0 {
			t.Errorf("%v, %d pushed", err, b.pushed)
		}
		if len(bad) != 1 || !strings.HasSuffix(bad[0], "export.csv:4: its usage date 2025-07-31 is outside --replaces 2025-07-01..2025-07-02") {
			t.Errorf("bad rows %q", bad)
		}
	})
	t.Run("a second load says how it is meant", func(t *testing.T) {
		dir := t.TempDir()
		b := &receiver{winners: map[string]receivedEvent{}}
		plain := func(l *Load) { l.Delivery.Replaces = nil }
		appending := func(l *Load) { l.Delivery.Replaces, l.Delivery.Append = nil, true }
		for _, step := range []struct {
			e      export
			how    func(*Load)
			refuse bool
		}{
			{first, plain, false},
			{first, plain, false}, // the same delivery: run again, or another part of it
			{second, plain, true},
			{second, appending, false},
			{export{july, exported(3, 0), first.ids}, plain, true},
			{export{july, exported(3, 0), map[string]string{"a": "2025-07-01"}}, nil, false},
		} {
			b.pushed = 0
			_, err := deliver(t.Context(), dir, step.e.file(t, dir), step.e, b, step.how)
			if errors.Is(err, delivery.ErrRefused) != step.refuse || err != nil && !step.refuse || step.refuse && b.pushed > 0 {
				t.Fatalf("exported %s: %v, %d pushed", step.e.at, err, b.pushed)
			}
		}
		if got := b.held(); len(got) != 1 {
			t.Errorf("held %v: what was appended is not replaced", got)
		}
	})
	t.Run("much less than before", func(t *testing.T) {
		dir := t.TempDir()
		b := &receiver{winners: map[string]receivedEvent{}}
		if _, err := deliver(t.Context(), dir, first.file(t, dir), first, b, nil); err != nil {
			t.Fatal(err)
		}
		empty := export{july, exported(2, 0), nil}
		half := func(l *Load) { l.Delivery.MaxShrink = 50 }
		_, err := deliver(t.Context(), dir, empty.file(t, dir), empty, b, half)
		if !errors.Is(err, delivery.ErrRefused) || !strings.Contains(err.Error(), "holds 3 ids of 2025-07-01..2025-07-31, this load 0") || len(b.held()) != 3 {
			t.Errorf("%v, held %v", err, b.held())
		}
	})
	t.Run("rows that say when they were ingested", func(t *testing.T) {
		dir := t.TempDir()
		b := &receiver{winners: map[string]receivedEvent{}}
		text := `{"event_id":"x","account_id":"a","service_name":"s","usage_date":"2025-07-01","cost_usd":1,"ingested_at":"%s"}` + "\n"
		name := filepath.Join(dir, "x.jsonl")
		load := func(own string, e export) error {
			if err := os.WriteFile(name, fmt.Appendf(nil, text, own), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := deliver(t.Context(), dir, name, e, b, nil)
			return err
		}
		gone := export{july, exported(2, 0), nil}
		if err := errors.Join(
			load("2025-07-02", export{july, exported(1, 0), nil}),
			func() error { // JSON lines and tables are sources of their own
				_, err := deliver(t.Context(), dir, gone.file(t, dir), gone, b, func(l *Load) { l.Delivery.Source = "jsonl" })
				return err
			}(),
		); err != nil {
			t.Fatal(err)
		}
		if len(b.held()) != 0 {
			t.Fatalf("held %v", b.held())
		}
		// It is back, with the moment that it had at first.
		if err := load("2025-07-02", export{july, exported(3, 0), nil}); err != nil {
			t.Fatal(err)
		}
		if len(b.held()) != 1 {
			t.Error("an event that is back stays deleted")
		}
		if err := load("2025-08-05", export{july, exported(4, 0), nil}); err == nil || !strings.Contains(err.Error(), "are not valid for") {
			t.Errorf("a row that is newer than its export: %v", err)
		}
	})
	t.Run("files that change while they are read", func(t *testing.T) {
		dir := t.TempDir()
		b := &receiver{winners: map[string]receivedEvent{}}
		if _, err := deliver(t.Context(), dir, first.file(t, dir), first, b, nil); err != nil {
			t.Fatal(err)
		}
		name := second.file(t, dir)
		passes := 0
		_, err := deliver(t.Context(), dir, name, second, b, func(l *Load) {
			l.Progress = func(int64, int64) {
				if passes++; passes == 1 { // the first pass has read the file
					third := export{july, second.at, map[string]string{"z": "2025-07-09"}}
					third.file(t, dir)
				}
			}
		})
		if err == nil || !strings.Contains(err.Error(), "changed while they were read") {
			t.Fatalf("got %v", err)
		}
		if got := b.held(); got["c"] == "" {
			t.Errorf("held %v: something was deleted", got)
		}
	})
}

// TestStaleDeliveries: a directory that does not know every load of its source
// which the topic has is refused, whatever the load is, before anything is pushed.
func TestStaleDeliveries(t *testing.T) {
	july := days(1, 31)
	first := export{july, exported(1, 0), map[string]string{"a": "2025-07-01", "b": "2025-07-02"}}
	second := export{july, exported(2, 0), map[string]string{"a": "2025-07-01", "c": "2025-07-02"}}
	third := export{july, exported(3, 0), map[string]string{"x": "2025-07-01", "y": "2025-07-02"}}
	modes := map[string]func(*Load){
		"replaces": nil,
		"append":   func(l *Load) { l.Delivery.Replaces, l.Delivery.Append = nil, true },
		"neither":  func(l *Load) { l.Delivery.Replaces = nil },
	}
	// A topic with two loads, the directory as it was after each, and one that broke off.
	root := t.TempDir()
	dir := filepath.Join(root, "kept")
	older := filepath.Join(root, "older")
	b := &receiver{winners: map[string]receivedEvent{}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	run := func(dir string, e export, how func(*Load)) error {
		_, err := deliver(t.Context(), dir, e.file(t, root), e, b, how)
		return err
	}
	must(run(dir, first, nil))
	must(os.CopyFS(older, os.DirFS(dir)))
	must(run(dir, second, nil))

	for name, dir := range map[string]string{"empty": filepath.Join(root, "empty"), "older copy": older} {
		for mode, how := range modes {
			b.pushed = 0
			err := run(dir, third, how)
			if !errors.Is(err, delivery.ErrStale) || b.pushed > 0 {
				t.Errorf("%s, %s: %v, %d pushed", name, mode, err, b.pushed)
			}
			for _, want := range []string{dir, "source csv", "2025-07-01..2025-07-31 exported 2025-08-0", "--rebuild-deliveries", "nothing was pushed"} {
				if err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("%s, %s: no %q in: %v", name, mode, want, err)
				}
			}
		}
	}
	// Another source has loaded nothing, so an empty directory is its newest.
	must(run(filepath.Join(root, "empty"), export{july, exported(1, 0), map[string]string{"o": "2025-07-01"}}, func(l *Load) { l.Delivery.Source = "other" }))
	must(os.RemoveAll(filepath.Join(root, "empty")))

	t.Run("broken off", func(t *testing.T) {
		must(os.RemoveAll(older))
		must(os.CopyFS(older, os.DirFS(dir)))
		b.pushed, b.fail = 0, 2
		if err := run(dir, third, nil); !errors.Is(err, errBroker) {
			t.Fatal(err)
		}
		b.pushed, b.fail, b.failed = 0, 0, nil
		if err := run(older, third, nil); !errors.Is(err, delivery.ErrStale) || b.pushed > 0 {
			t.Errorf("the directory from before a load that broke off: %v, %d pushed", err, b.pushed)
		}
		must(run(dir, third, nil))
		delete(b.winners, "o")
		if got := b.held(); !maps.Equal(got, third.ids) {
			t.Errorf("held %v, want %v", got, third.ids)
		}
	})
	t.Run("expired", func(t *testing.T) {
		trust := func(l *Load) { l.Delivery.Trust = true }
		fourth := export{july, exported(4, 0), third.ids}
		b.expired = len(b.marks) - 2
		empty := filepath.Join(root, "empty")
		err := run(empty, fourth, nil)
		if !errors.Is(err, delivery.ErrStale) || !strings.Contains(err.Error(), "--trust-deliveries") {
			t.Errorf("the topic's beginning is gone: %v", err)
		}
		if err := run(empty, fourth, trust); !errors.Is(err, delivery.ErrStale) {
			t.Errorf("--trust-deliveries against a record that the topic has: %v", err)
		}
		b.expired = len(b.marks) // the directory has seen all of them
		if err := run(dir, fourth, nil); err != nil {
			t.Error(err)
		}
		b.marks = append(b.marks, delivery.Mark{Source: "other"})
		b.expired = len(b.marks)
		if err := run(dir, fourth, nil); !errors.Is(err, delivery.ErrStale) {
			t.Errorf("a record that the directory has not seen is gone: %v", err)
		}
		if err := run(dir, fourth, trust); err != nil {
			t.Error(err)
		}
	})
	t.Run("cut short", func(t *testing.T) {
		b.marks, b.expired = b.marks[:1], 0
		if err := run(dir, third, nil); !errors.Is(err, delivery.ErrStale) || !strings.Contains(err.Error(), "was cut short or recreated") {
			t.Errorf("got %v", err)
		}
	})
}

// TestTwoDirectoriesAtOnce: of two loads of a source at the same time from two
// directories the second to finish is told, and deletes nothing.
func TestTwoDirectoriesAtOnce(t *testing.T) {
	root := t.TempDir()
	b := &receiver{winners: map[string]receivedEvent{}}
	july := days(1, 31)
	ours := export{july, exported(1, 0), map[string]string{"a": "2025-07-01"}}
	theirs := export{july, exported(2, 0), map[string]string{"b": "2025-07-01"}}
	other := t.TempDir()
	passes := 0
	_, err := deliver(t.Context(), filepath.Join(root, "ours"), ours.file(t, root), ours, b, func(l *Load) {
		l.Progress = func(int64, int64) {
			if passes++; passes == 1 { // the index was found to be the newest
				if _, err := deliver(t.Context(), filepath.Join(root, "theirs"), theirs.file(t, other), theirs, b, nil); err != nil {
					t.Error(err)
				}
			}
		}
	})
	if !errors.Is(err, delivery.ErrStale) || !strings.Contains(err.Error(), "nothing was deleted") {
		t.Errorf("got %v", err)
	}
	for id, e := range b.winners {
		if e.Op == "delete" {
			t.Errorf("%s was deleted", id)
		}
	}
}

func TestDeliveryFlags(t *testing.T) {
	window := days(1, 31)
	c := DeliveryConfig{Replaces: &window, Append: true, Source: "../x", MaxShrink: 101}
	err := c.Validate(&Config{BadRows: PushBadRows})
	for _, want := range []string{"--append contradict", "needs --deliveries", "needs --exported-at", "--bad-rows push", `"../x"`, "--max-shrink-percent"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in: %v", want, err)
		}
	}
	for _, text := range []string{"2025-07-01", "2025-07-31..2025-07-01", "2025-07..2025-08", "0001-01-01..2025-01-01"} {
		var w delivery.Window
		if err := w.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is accepted as %s", text, w)
		}
	}
}

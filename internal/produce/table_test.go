package produce

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// rowsOf reads a table whole: line, cells or fault, and the bytes of each row.
func rowsOf(t *testing.T, r io.Reader) (rows []string, raw string) {
	t.Helper()
	table, err := newTable(r, ',')
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for {
		r, err := table.next()
		if errors.Is(err, io.EOF) {
			return rows, all.String()
		}
		all.Write(r.raw)
		switch {
		case errors.Is(err, errBadRow):
			rows = append(rows, fmt.Sprintf("%d-%d bad: %s", r.line, r.lastLine, reasonOf(err)))
		case err != nil:
			t.Fatal(err)
		default:
			rows = append(rows, fmt.Sprintf("%d-%d %q", r.line, r.lastLine, r.cells))
		}
	}
}

func TestTableRows(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		got, raw := rowsOf(t, strings.NewReader("a,b\n"+text))
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%q: got\n%s\nwant\n%s", text, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if raw != text {
			t.Errorf("rows' bytes are %q, the file's %q", raw, text)
		}
	}
	f("1,2\n3,4\n", `2-2 ["1" "2"]`, `3-3 ["3" "4"]`)
	f("1,2\r\n3,4", `2-2 ["1" "2"]`, `3-3 ["3" "4"]`)
	f("\n\n1,\"2\n3\"\n4,5\n", `4-5 ["1" "2\n3"]`, `6-6 ["4" "5"]`)
	f("1\n1,2,3\n4,5\n", "2-2 bad: 1 columns where the header has 2", "3-3 bad: 3 columns where the header has 2", `4-4 ["4" "5"]`)
	f("1,a\"b\n4,5\n", "2-2 bad: a quotation mark stands where none may be", `3-3 ["4" "5"]`)
	f("1,\"open\n4,5\n6,7\n", "2-4 bad: a quotation mark opened on line 2 is not closed properly")
	f("1,\"open\n4,\"5\n6,7\n", "2-3 bad: a quotation mark opened on line 2 is not closed properly", `4-4 ["6" "7"]`)
	f("1,\xff\n4,5\n", `2-2 bad: column "b" is not UTF-8`, `3-3 ["4" "5"]`)
}

// TestTableBytes: whatever the rows, and however they arrive, the rows' bytes
// are the file's.
func TestTableBytes(t *testing.T) {
	long := strings.Repeat("x", 3*bufferBytes)
	text := "a,b\n" + strings.Repeat("1,\"two\nlines\"\n", 40_000) + "3," + long + "\n" + strings.Repeat("4,5\n", 200_000)
	rows, raw := rowsOf(t, iotest.HalfReader(strings.NewReader(text)))
	if len(rows) != 240_001 {
		t.Errorf("%d rows", len(rows))
	}
	if raw != text[len("a,b\n"):] {
		t.Error("the rows' bytes are not the file's")
	}
}

func TestSource(t *testing.T) {
	const rows = "event_id,op,ingested_at\n1,delete,2025-01-01\n"
	const want = `{"event_id":"1","ingested_at":"2025-01-01","op":"delete"}` + "\n"
	f := func(content string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "rows")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, _, err := load(t, Config{}, file)
		if err != nil || got != want {
			t.Errorf("got %q, %v", got, err)
		}
	}
	compressed := func(parts ...string) string {
		var b bytes.Buffer
		for _, p := range parts { // as joined files
			w := gzip.NewWriter(&b)
			io.WriteString(w, p)
			w.Close()
		}
		return b.String()
	}
	f(rows)
	f("\xef\xbb\xbf" + rows)
	f(strings.ReplaceAll(rows, "\n", "\r\n"))
	f(compressed(rows))
	f(compressed("\xef\xbb\xbf"+rows[:9], rows[9:]))

	whole := compressed(rows)
	cut := filepath.Join(t.TempDir(), "cut.gz")
	if err := os.WriteFile(cut, []byte(whole[:len(whole)-6]), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := load(t, Config{}, cut); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that was cut short: %v", err)
	}
}

// TestStdin reads the standard input, once.
func TestStdin(t *testing.T) {
	var out bytes.Buffer
	l := &Load{Files: []string{Stdin}, Stdin: strings.NewReader("{\"event_id\":\"1\"}\n"), Sink: NewPrinter(&out)}
	if sum, err := l.Run(t.Context(), testNow); err != nil || sum.Pushed != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	for _, l := range []*Load{
		{Files: []string{Stdin, Stdin}},
		{Files: []string{Stdin}, Config: Config{EventID: []string{"a"}}},
		{},
	} {
		l.Stdin, l.Sink = strings.NewReader(""), NewPrinter(&out)
		if _, err := l.Run(t.Context(), testNow); err == nil {
			t.Errorf("%v is accepted", l.Files)
		}
	}
}

func TestLongLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lines")
	text := `{"event_id":"1"}` + "\n" + `{"event_id":"` + strings.Repeat("x", maxLineBytes) + "\"}\n" +
		`{"event_id":"2","pad":"` + strings.Repeat("x", MaxRecordBytes) + "\"}\n" + `{"event_id":"3"}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, sum, err := load(t, Config{}, file)
	if err != nil || sum.Rows != 4 || sum.BadRows != 2 || sum.Pushed != 2 {
		t.Errorf("%+v, %v", sum, err)
	}
	for _, want := range []string{"lines:2: the line is longer", "lines:3: the event has", `{"event_id":"3"}`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q", want)
		}
	}
}

// TestTextTravelsVerbatim: whatever text a cost or an attribute is, it arrives
// as it was written.
func TestTextTravelsVerbatim(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cost := rapid.StringMatching(`-?[0-9]{1,25}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?`).Draw(t, "cost")
		note := rapid.StringMatching(`[^\x{FFFD}]{1,20}`).Draw(t, "note")
		h, err := newHeader([]string{"event_id", "account_id", "service_name", "usage_date", "cost_usd", "ingested_at", "note"})
		if err != nil {
			t.Fatal(err)
		}
		m, err := mapCSV(h, &Config{})
		if err != nil {
			t.Fatal(err)
		}
		event, _, err := m.appendEvent(nil, []string{"1", "2", "3", "2025-01-01", cost, "2025-01-02", note})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		d := jsontext.NewDecoder(bytes.NewReader(event))
		if _, err := d.ReadToken(); err != nil {
			t.Fatal(err)
		}
		for d.PeekKind() == '"' {
			name, _ := d.ReadToken()
			text := name.String()
			v, err := d.ReadToken()
			if err != nil {
				t.Fatalf("%s: %v", event, err)
			}
			got[text] = v.String()
		}
		if got["cost_usd"] != cost || got["note"] != note {
			t.Errorf("cost %q became %q, note %q became %q", cost, got["cost_usd"], note, got["note"])
		}
	})
}

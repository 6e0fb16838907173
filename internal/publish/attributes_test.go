package publish

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"daybook/internal/billing"
	"daybook/internal/lake"
)

func TestAttributes(t *testing.T) {
	f := func(flag, canonical, object, want string) {
		t.Helper()
		var a Attributes
		if err := a.UnmarshalText([]byte(flag)); err != nil {
			t.Fatal(err)
		}
		if got := a.String(); got != canonical {
			t.Errorf("%q is %q, want %q", flag, got, canonical)
		}
		if got, err := a.of(&billing.Event{Attributes: object}); err != nil || got != want {
			t.Errorf("%q of %s: %q, %v; want %q", flag, object, got, err, want)
		}
	}
	const object = `{"a\"b":{"team":1.50},"mail":"x@y","team":"é"}`
	f("all", "all", object, object)
	f("", "all", object, object)
	f("none", "none", object, "")
	f("team", "team", object, `{"team":"é"}`)
	f("team,mail,team", "mail,team", object, `{"mail":"x@y","team":"é"}`)
	f(`a"b`, `a"b`, object, `{"a\"b":{"team":1.50}}`)
	f("absent", "absent", object, "")
	f("team", "team", "", "")
	for _, bad := range []string{"team,", ",", "all,team", "team,none"} {
		var a Attributes
		if err := a.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	var a Attributes
	if err := a.UnmarshalText([]byte("team")); err != nil {
		t.Fatal(err)
	}
	for _, damaged := range []string{`{"team":1`, `[]`, `{"team"}`, `x`} {
		if got, err := a.of(&billing.Event{ID: "e7", Attributes: damaged}); err == nil || !strings.Contains(err.Error(), "e7") {
			t.Errorf("%s: %q, %v", damaged, got, err)
		}
	}
}

// A change of the published attributes is in all files of a release or in none. No number changes, and a rollback
// does not undo it.
func TestAttributesChangeAtOnce(t *testing.T) {
	w := newWorld(t)
	note := func(id, d, mail string) string {
		return strings.TrimSuffix(event(id, "a1", "compute", d, "3", 1), "}") + `,"mail":"` + mail + `","team":"blue"}`
	}
	w.push(note("e1", "2025-01-05", "jane@example.com"), note("e2", "2025-01-06", "joe@example.com"), note("e3", "2025-01-07", "jo@example.com"))
	w.caughtUp()
	w.publish()
	published := func() (texts []string) {
		t.Helper()
		m := w.current()
		for _, f := range m.Files {
			if f.Dataset != lake.Events {
				continue
			}
			for row, err := range w.series().ReadEvents(m, f) {
				w.check(err)
				texts = append(texts, row.Event.Attributes)
			}
		}
		return texts
	}
	if got := strings.Join(published(), " "); !strings.Contains(got, "jane@") {
		t.Fatalf("published %s", got)
	}

	w.check(w.cfg.Attributes.UnmarshalText([]byte("team")))
	if _, err := w.run(); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "publisher backfill --from 2025-01-05 --to 2025-01-07 --attributes team") {
		t.Fatalf("a run with other attributes: %v", err)
	}
	if _, err := w.publisher().Backfill(context.Background(), Window{From: day("2025-01-05"), To: day("2025-01-06")}, false); !errors.Is(err, ErrUsage) {
		t.Fatalf("a backfill of a part: %v", err)
	}
	w.now = w.now.Add(time.Hour)
	report, err := w.publisher().Backfill(context.Background(), Window{From: day("2025-01-01"), To: day("2025-01-31")}, false)
	w.check(err)
	if c := report.Tenants[0].Changes; c != (lake.ChangeSummary{}) {
		t.Errorf("changes %+v", c)
	}
	if got := strings.Join(published(), " "); got != `{"team":"blue"} {"team":"blue"} {"team":"blue"}` {
		t.Errorf("published %s", got)
	}
	if m := w.current(); m.Release != 2 || m.Attributes != "team" {
		t.Errorf("release %d has attributes %q", m.Release, m.Attributes)
	}
	found, err := w.publisher().Verify(context.Background())
	w.check(err)
	if len(found) != 1 || found[0].Events != 3 {
		t.Errorf("verified %+v", found)
	}
	w.nothing()
	if _, err := w.publisher().Rollback(context.Background(), billing.DefaultTenant, 1, "clerk"); !errors.Is(err, ErrUsage) {
		t.Errorf("a rollback to what was published with other attributes: %v", err)
	}

	// A rebuilt state finds the same events, although the files have other attributes.
	for p := range w.log {
		n := len(w.log[p])
		w.newState(len(w.log))
		w.read(p, n)
	}
	w.caughtUp()
	if r := w.publish(); r.Changes != (lake.ChangeSummary{}) {
		t.Errorf("changes after a rebuild %+v", r.Changes)
	}
	for _, f := range w.current().Files {
		if f.Dataset == lake.Events && f.WrittenBy != 2 {
			t.Errorf("%s was written again", f.Path)
		}
	}
}

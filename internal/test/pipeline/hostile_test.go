package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/billing"
	"daybook/internal/disk"
	"daybook/internal/lake"
)

// push sends records to the topic.
func (p place) push(t *testing.T, records ...*kgo.Record) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(p.brokers), kgo.DefaultProduceTopic(p.topic))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// charge is a record with an event of 2025-01-02, but for what changes says.
func charge(t *testing.T, changes map[string]any) *kgo.Record {
	t.Helper()
	e := map[string]any{"event_id": "e", "account_id": "a", "service_name": "s", "usage_date": "2025-01-02", "cost_usd": "1"}
	for name, value := range changes {
		e[name] = value
	}
	value, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return &kgo.Record{Value: value}
}

// tame fails if a terminal would act on what a program printed.
func tame(t *testing.T, what, printed string) {
	t.Helper()
	for _, r := range printed {
		if r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)) || r == unicode.ReplacementChar {
			t.Errorf("%s prints %U:\n%.2000q", what, r, printed)
			return
		}
	}
}

// TestHostileIDs: whatever an identifier is made of, it names what it names and nothing else: no file, no other
// account, no command to a terminal.
func TestHostileIDs(t *testing.T) {
	ids := []string{
		"../../../../tmp/x", "/etc/passwd", "..", ".", "C:\\x", "CON", "a/b", "a|b", "a", "A", "é", "e\u0301", "ﬁ", "fi", " ", "  ", "a\x00b", "a\nb", "a\rb",
		"\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\u202egpj.exe", "a\u2028b", "a\u0085b", "\ufeffa", `a"b`, `','`, `{"event_id":"x"}`, "usage_date=2025-01-03",
		"%00", "$(id)", "-rf", strings.Repeat("x", 256), strings.Repeat("é", 128),
	}
	long := []string{strings.Repeat("x", 257), strings.Repeat("é", 129), strings.Repeat("y", 64<<10), ""}
	addr := broker(t, "billing", 2)
	p := newPlace(t, addr, "billing")
	p.run(t, "ingest", "init")
	var records []*kgo.Record
	controls := 0
	for i, id := range ids {
		records = append(records, charge(t, map[string]any{"event_id": fmt.Sprint("n", i), "account_id": id, "service_name": id, "region": id, "pricing_model": id, id: id}))
		if strings.ContainsFunc(id, unicode.IsControl) {
			controls++
		}
		records = append(records, charge(t, map[string]any{"event_id": id}))
	}
	for _, id := range long {
		for _, member := range []string{"event_id", "account_id", "service_name"} {
			records = append(records, charge(t, map[string]any{"event_id": "long " + member, member: id}))
		}
	}
	tenants := []string{"..", ".", ".hidden", "../x", "a/b", "/etc", "a\x00b", "a b", "é", strings.Repeat("x", 65), strings.Repeat("y", 64<<10), "", "Twin", "twin", "lock"}
	for _, tenant := range tenants {
		records = append(records, charge(t, map[string]any{"event_id": "t", "tenant_id": tenant}))
	}
	p.push(t, records...)
	tame(t, "ingest run", p.run(t, "ingest", "run", "--until-caught-up"))
	p.run(t, "ingest", "check")
	tame(t, "publisher run", p.run(t, "publisher", "run"))

	modelTables := model(t, addr, "billing", len(records))
	if want := controls + 3*len(long) + len(tenants) - 3; len(modelTables.Rejected) != want {
		t.Errorf("%d rejected, want %d", len(modelTables.Rejected), want)
	}
	published, err := lake.Open(p.lake, disk.OS(), time.Now).Tenants()
	if err != nil || !slices.Equal(published, []billing.TenantID{"Twin", billing.DefaultTenant, "lock", "twin"}) {
		t.Errorf("tenants %q, %v", published, err)
	}
	for _, tenant := range published {
		_, accounts, services := releasedOf(t, p.lake, tenant)
		agreeOf(t, "daily_account_cost", tenant, accounts, modelTables.Accounts)
		agreeOf(t, "account_service_day_cost", tenant, services, modelTables.Services)
		tame(t, "publisher audit", p.run(t, "publisher", "audit", "--tenant", string(tenant), "--explain", "2025-01-02/a"))
	}

	name := regexp.MustCompile(`^[A-Za-z0-9_.=-]+$`)
	err = filepath.WalkDir(filepath.Dir(p.lake), func(path string, d fs.DirEntry, err error) error {
		if !name.MatchString(d.Name()) {
			t.Errorf("a file is named %q", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, args := range [][]string{
		{"ingest", "status"}, {"ingest", "quarantine", "list", "--limit", "0"}, {"ingest", "quarantine", "show", "billing/0/0"}, {"publisher", "status", "--tenant", "default"},
		{"publisher", "show", "--tenant", "default", "1"}, {"publisher", "certificate", "--tenant", "default", "--account-days"},
	} {
		out, errs, _ := p.exit(t, args[0], args[1:]...)
		if !strings.HasPrefix(strings.TrimSpace(out), "{") { // JSON is for programs, and escapes what JSON must
			tame(t, strings.Join(args, " "), out)
		}
		tame(t, strings.Join(args, " "), errs)
	}
}

// canary is what must not be found where it does not belong.
const canary = "c4n4ry"

// TestCanaryStaysWithItsTenant puts a word into everything that one tenant can write, and looks for it in logs,
// metrics, and all that another tenant can read.
func TestCanaryStaysWithItsTenant(t *testing.T) {
	addr := broker(t, "billing", 2)
	p := newPlace(t, addr, "billing")
	p.run(t, "ingest", "init")
	loud := func(changes map[string]any) *kgo.Record {
		e := map[string]any{"tenant_id": "loud"}
		for name, value := range changes {
			e[name] = value
		}
		r := charge(t, e)
		r.Key, r.Headers = []byte(canary), []kgo.RecordHeader{{Key: canary, Value: []byte(canary)}}
		return r
	}
	everything := map[string]any{
		"event_id": canary, "account_id": canary, "service_name": canary, "region": canary, "pricing_model": canary, canary: canary, "tags": map[string]any{canary: canary},
	}
	records := []*kgo.Record{loud(everything)}
	for _, member := range []string{
		"event_id", "account_id", "service_name", "usage_date", "cost_usd", "ingested_at", "source_revision", "charge_category", "billing_period", "currency", "op", "region",
	} {
		for _, value := range []any{canary, []string{canary}, canary + strings.Repeat("x", 300)} {
			records = append(records, loud(map[string]any{"event_id": "broken " + canary, "account_id": canary, member: value}))
		}
	}
	records = append(records,
		&kgo.Record{Key: []byte(canary), Value: []byte(canary)}, &kgo.Record{Key: []byte(canary)}, &kgo.Record{Value: []byte(`{"tenant_id":"loud","` + canary)},
		loud(map[string]any{"tenant_id": canary + "/"}), charge(t, map[string]any{"tenant_id": "quiet", "event_id": "q1"}),
		// A gap of days fails loud's gate.
		loud(map[string]any{"event_id": "later", "account_id": canary, "usage_date": "2025-01-05"}),
	)
	p.push(t, records...)

	metrics, logs := p.observe(t)
	if !strings.Contains(metrics, "daybook_") || !strings.Contains(logs, "msg=") && !strings.Contains(logs, `"msg"`) {
		t.Errorf("nothing was observed: %d bytes of metrics, logs %q", len(metrics), logs)
	}
	absent(t, "metrics", metrics)
	absent(t, "ingest's log", logs)
	absent(t, "ingest status", p.run(t, "ingest", "status"))
	absent(t, "ingest check", p.run(t, "ingest", "check"))

	out, errs, code := p.exit(t, "publisher", "run", "--log-level", "debug", "--json")
	if code != 4 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	absent(t, "publisher's log", errs)
	var report struct {
		Tenants []json.RawMessage `json:"tenants"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || len(report.Tenants) != 2 {
		t.Fatalf("%v\n%s", err, out)
	}
	absent(t, "the other tenant's report", string(report.Tenants[1]))

	series := lake.Open(p.lake, disk.OS(), time.Now).Tenant("quiet")
	m, err := series.Current()
	if err != nil || m == nil {
		t.Fatalf("the other tenant has no release: %v", err)
	}
	absent(t, "the other tenant's release", everythingIn(t, series, m))
	absent(t, "publisher audit", p.run(t, "publisher", "audit", "--tenant", "quiet", "--json", "--explain", "2025-01-02/a"))
	if _, err := os.Stat(filepath.Join(p.lake, "loud", "current")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("loud was published: %v", err)
	}

	// With the gate out of the way the word is where it belongs.
	p.run(t, "publisher", "run", "--allow-empty-days")
	series = lake.Open(p.lake, disk.OS(), time.Now).Tenant("loud")
	if m, err = series.Current(); err != nil || !strings.Contains(everythingIn(t, series, m), canary) {
		t.Errorf("the search finds nothing where the word is: %v", err)
	}
}

func absent(t *testing.T, where, text string) {
	t.Helper()
	if at := strings.Index(text, canary); at >= 0 {
		t.Errorf("the canary is in %s: …%q…", where, text[max(0, at-300):min(len(text), at+100)])
	}
}

// observe runs ingest until it has caught up, and returns its metrics and its log at the most talkative level.
func (p place) observe(t *testing.T) (metrics, logs string) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	run := p.command(t.Context(), "ingest", "run", "--monitor", addr, "--log-level", "debug", "--watermark-interval", "50ms")
	var errs bytes.Buffer
	run.Stdout, run.Stderr = &errs, &errs
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	get := func(path string) (string, int) {
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			return err.Error(), 0
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err.Error(), 0
		}
		return string(body), resp.StatusCode
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for ready := 0; ready != http.StatusOK; {
		if metrics, ready = get("/readyz"); ctx.Err() != nil {
			t.Fatalf("ingest is not ready: %s\n%s", metrics, errs.String())
		}
		time.Sleep(50 * time.Millisecond)
	}
	metrics, _ = get("/metrics")
	if err := errors.Join(run.Process.Signal(syscall.SIGTERM), run.Wait()); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	return metrics, errs.String()
}

// everythingIn is every cell of a release, and its manifest, as text.
func everythingIn(t *testing.T, s *lake.Series, m *lake.Manifest) string {
	t.Helper()
	var b strings.Builder
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(m)
	check(err)
	b.Write(text)
	for _, f := range m.Files {
		raw, err := os.ReadFile(filepath.Join(s.Dir(m.Release), f.Path))
		check(err)
		b.Write(raw)
		if f.Dataset == lake.Events {
			for row, err := range s.ReadEvents(m, f) {
				check(err)
				fmt.Fprintf(&b, "%+v\n", *row)
			}
		}
	}
	for i := range m.Days {
		day := m.Days[i].Day
		accounts, err := s.ReadAccountDays(m, day)
		check(err)
		services, err := s.ReadServiceDays(m, day)
		check(err)
		fmt.Fprintf(&b, "%+v\n%+v\n", accounts, services)
	}
	changes, err := s.ReadChanges(m, m.Release)
	check(err)
	fmt.Fprintf(&b, "%+v\n", changes)
	for _, ds := range []lake.Dataset{lake.DimAccount, lake.DimService, lake.DimRegion, lake.DimPricing} {
		_, rows, err := s.ReadDimension(m, ds)
		check(err)
		fmt.Fprintf(&b, "%+v\n", rows)
	}
	return b.String()
}

// TestOneTenantHoldsBackNoOther: a tenant that sends a hundred times as much, nearly all of it broken, and whose gate
// fails, keeps its own release back; the other's is there, complete, and made first.
func TestOneTenantHoldsBackNoOther(t *testing.T) {
	const quiet, times = 100, 100
	addr := broker(t, "billing", 4)
	p := newPlace(t, addr, "billing")
	p.run(t, "ingest", "init")
	var records []*kgo.Record
	for i := range quiet {
		records = append(records, charge(t, map[string]any{"tenant_id": "quiet", "event_id": fmt.Sprint("q", i), "account_id": fmt.Sprint("a", i%10), "cost_usd": fmt.Sprint(i)}))
	}
	for i := range quiet * times {
		e := map[string]any{"tenant_id": "flood", "event_id": fmt.Sprint("f", i), "account_id": fmt.Sprint("a", i%500), "usage_date": fmt.Sprintf("2025-01-%02d", 1+i%9)}
		if i%10 != 0 {
			e["cost_usd"] = "free"
		}
		records = append(records, charge(t, e))
	}
	records = append(records, charge(t, map[string]any{"tenant_id": "flood", "event_id": "far", "usage_date": "2025-02-01"}))
	p.push(t, records...)
	p.run(t, "ingest", "run", "--until-caught-up")
	out, errs, code := p.exit(t, "publisher", "run")
	if code != 4 || !strings.Contains(out, "flood: failed, no release") || !strings.Contains(errs, "empty_day") {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	modelTables := model(t, addr, "billing", len(records))
	m, accounts, services := releasedOf(t, p.lake, "quiet")
	agreeOf(t, "daily_account_cost", "quiet", accounts, modelTables.Accounts)
	agreeOf(t, "account_service_day_cost", "quiet", services, modelTables.Services)
	if m.Days[0].Completeness != "complete" || m.Days[0].Events != quiet {
		t.Errorf("%+v", m.Days[0])
	}
	quietDone, err := os.Stat(filepath.Join(p.lake, "quiet", "current"))
	if err != nil {
		t.Fatal(err)
	}
	floodBegun, err := os.Stat(filepath.Join(p.lake, "flood", "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if floodBegun.ModTime().Before(quietDone.ModTime()) {
		t.Errorf("the flood's release was begun at %s, the other's finished at %s", floodBegun.ModTime(), quietDone.ModTime())
	}
}

package produce

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"daybook/internal/billing"
	"daybook/internal/decode"
)

// testGenerator has much of everything.
func testGenerator(count int64) GeneratorConfig {
	return GeneratorConfig{
		Count: count, Seed: 7, Tenants: 3, Accounts: 10, From: "2025-01-01", Days: 5, EventBytes: 340, IDs: RandomIDs,
		Late: 0.1, Corrected: 0.1, Moved: 0.1, Duplicate: 0.1, Broken: 0.1,
	}
}

// TestGeneratorIsAFunctionOfItsNumber: records are the same in any order.
func TestGeneratorIsAFunctionOfItsNumber(t *testing.T) {
	c := testGenerator(2_000)
	g, again := NewGenerator(c), NewGenerator(c)
	for i := range c.Count {
		key, value := g.Record(i)
		first := string(key) + string(value)
		j := (i * 7919) % c.Count
		again.Record(j)
		key, value = again.Record(i)
		if first != string(key)+string(value) {
			t.Fatalf("record %d differs", i)
		}
	}
	c.Seed++
	_, a := g.Record(0)
	_, b := NewGenerator(c).Record(0)
	if bytes.Equal(a, b) {
		t.Error("another seed gives the same record")
	}
}

// TestGeneratorShares decodes the generated records and counts them.
func TestGeneratorShares(t *testing.T) {
	c := testGenerator(20_000)
	g := NewGenerator(c)
	d := decode.New(billing.DefaultRules())
	type seen struct {
		billing.AccountDay
		digest     billing.Digest
		ingestedAt billing.Instant
		cost       billing.Money
	}
	last := map[string]seen{}
	got := map[string]int{}
	start, _ := billing.ParseDay(c.From)
	for i := range c.Count {
		key, value := g.Record(i)
		var e billing.Event
		record := decode.Record{Value: value, Source: billing.Source{RecordTime: time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC).UnixMilli()}}
		_, rejection := d.Decode(record, &e)
		if rejection != nil {
			got["broken"]++
			continue
		}
		if string(e.ID) != string(key) {
			t.Fatalf("key %s of %s", key, value)
		}
		if len(value) < c.EventBytes-10 || len(value) > c.EventBytes+10 {
			t.Fatalf("%d bytes: %s", len(value), value)
		}
		if e.Day < start-1 || int(e.Day) > int(start)+c.Days {
			t.Fatalf("day %s", e.Day)
		}
		id := string(e.Tenant) + "/" + string(e.ID)
		now := seen{e.AccountDay(), e.Digest(), e.Version.IngestedAt, e.Cost}
		was, known := last[id]
		switch {
		case !known && billing.DayOf(e.Version.IngestedAt.Time()) >= e.Day+2:
			got["late"]++
		case !known:
			got["new"]++
		case now == was:
			got["duplicate"]++
		case now.AccountDay != was.AccountDay:
			got["moved"]++
		case now.ingestedAt > was.ingestedAt && now.cost != was.cost:
			got["corrected"]++
		default:
			got["other"]++
		}
		if !known {
			last[id] = now
		}
	}
	tenants := map[billing.TenantID]bool{}
	for _, s := range last {
		tenants[s.Tenant] = true
	}
	if len(tenants) != int(c.Tenants) {
		t.Errorf("%d tenants", len(tenants))
	}
	for _, what := range []string{"broken", "duplicate", "moved", "corrected"} {
		if n := got[what]; n < 1_800 || n > 2_200 {
			t.Errorf("%d %s, want about 2000", n, what)
		}
	}
	// A late event of the first days cannot be older than the first day.
	if n := got["late"]; n < 900 || n > 2_200 {
		t.Errorf("%d late", n)
	}
	if n := got["other"]; n > 20 {
		t.Errorf("%d of no kind", n)
	}
}

func TestGeneratorIDs(t *testing.T) {
	const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	for _, form := range []IDForm{RandomIDs, TimeIDs, ULIDs} {
		c := testGenerator(1_000)
		c.IDs, c.Late, c.Corrected, c.Moved, c.Duplicate, c.Broken = form, 0, 0, 0, 0, 0
		g := NewGenerator(c)
		ids := map[string]bool{}
		previous := ""
		for i := range c.Count {
			key, _ := g.Record(i)
			id := string(key)
			if form == ULIDs {
				moment := int64(0)
				for _, c := range id[:min(10, len(id))] {
					moment = moment<<5 | int64(strings.IndexRune(crockford, c))
				}
				if len(id) != 26 || strings.Trim(id, crockford) != "" || moment != g.at(i).UnixMilli() {
					t.Fatalf("%s is no %s of %s", id, form, g.at(i))
				}
			} else if len(id) != 36 || id[14] != form[4] || !strings.ContainsRune("89ab", rune(id[19])) {
				t.Fatalf("%s is no %s", id, form)
			}
			if form != RandomIDs && id <= previous {
				t.Fatalf("%s follows %s", id, previous)
			}
			previous = id
			ids[id] = true
		}
		if len(ids) != int(c.Count) {
			t.Errorf("%s: %d ids of %d events", form, len(ids), c.Count)
		}
	}
}

func TestGeneratorValidate(t *testing.T) {
	good := testGenerator(1)
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	bad := GeneratorConfig{Count: -1, Rate: -1, Accounts: 0, From: "x", EventBytes: -1, IDs: "x", Late: 2, Broken: -1}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"--count", "--rate", "--tenants", "--accounts", "--from", "--days", "--event-bytes", "--ids", "--late", "--broken"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in:\n%v", want, err)
		}
	}
}

// TestRate: a rate is kept to.
func TestRate(t *testing.T) {
	c := testGenerator(200)
	c.Rate = 1_000
	began := time.Now()
	if _, err := Generate(t.Context(), c, NewPrinter(&bytes.Buffer{}), nil); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 190*time.Millisecond {
		t.Errorf("200 records at 1,000 a second took %v", took)
	}
}

// BenchmarkGenerator makes events without pushing them.
func BenchmarkGenerator(b *testing.B) {
	for _, form := range []IDForm{RandomIDs, TimeIDs, ULIDs} {
		b.Run(fmt.Sprintf("ids=%s", form), func(b *testing.B) {
			c := GeneratorConfig{
				Count: 5_000_000, Seed: 1, Tenants: 1, Accounts: 2_000, From: "2025-01-01", Days: 90, EventBytes: 300, IDs: form,
				Duplicate: 0.02,
			}
			g := NewGenerator(c)
			b.SetBytes(int64(c.EventBytes))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				g.Record(int64(i) % c.Count)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

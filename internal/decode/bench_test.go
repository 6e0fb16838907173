package decode

import (
	"testing"

	"daybook/internal/billing"
)

// benchmarkEvent is an event of about 300 bytes, the size of the events of make bench.
const benchmarkEvent = `{"event_id":"01JGXK5V7Q2M8N3P4R6S9T0WZA-000001","account_id":"004211223344","service_name":"AmazonEC2",` +
	`"usage_start":"2025-01-01T13:00:00Z","cost_usd":0.0416666667,"ingested_at":"2025-01-01T14:02:11.123Z",` +
	`"region":"eu-west-1","pricing_model":"on_demand","charge_category":"Usage","usage_type":"BoxUsage:t3.medium","team":"search"}`

func BenchmarkDecode(b *testing.B) {
	for name, text := range map[string]string{
		"accepted": benchmarkEvent,
		"delete":   `{"event_id":"01JGXK5V7Q2M8N3P4R6S9T0WZA-000001","op":"delete"}`,
		"rejected": `{"event_id":"01JGXK5V7Q2M8N3P4R6S9T0WZA-000001","account_id":"004211223344","usage_date":"2025-01-01","cost_usd":"x"}`,
		"broken":   benchmarkEvent[:250],
	} {
		b.Run("record="+name, func(b *testing.B) {
			d := New(billing.DefaultRules())
			r := record(text)
			accepted := name == "accepted" || name == "delete"
			var e billing.Event
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, rej := d.Decode(r, &e); (rej == nil) != accepted {
					b.Fatal(rej)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkPaths decodes one record by the fast path and by the library.
func BenchmarkPaths(b *testing.B) {
	for _, path := range []string{"fast", "library"} {
		b.Run("path="+path, func(b *testing.B) {
			d := Lending(billing.DefaultRules())
			d.noFastPath = path == "library"
			r := record(benchmarkEvent)
			var e billing.Event
			b.SetBytes(int64(len(benchmarkEvent)))
			b.ReportAllocs()
			for b.Loop() {
				if _, rej := d.Decode(r, &e); rej != nil {
					b.Fatal(rej)
				}
			}
		})
	}
}

package produce

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"daybook/internal/delivery"
)

// TestRebuildDeliveries: an index that is rebuilt from the topic compares as
// the one that was kept, also after pushes that broke off.
func TestRebuildDeliveries(t *testing.T) {
	_, config := broker(t, kfake.SeedTopics(3, "billing"))
	p, err := NewPusher(t.Context(), config, "billing", 0, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept")
	byTopic := func(l *Load) { l.Delivery.TopicID = p.TopicID() }
	exports := []export{
		{days(1, 31), exported(1, 0), map[string]string{"a": "2025-07-01", "b": "2025-07-02", "c": "2025-07-31", "d": "2025-07-05"}},
		{days(1, 31), exported(2, 0), map[string]string{"a": "2025-07-01", "b": "2025-07-03"}}, // deletes c and d
		{days(32, 62), exported(2, 0), map[string]string{"e": "2025-08-01", "f": "2025-08-02"}},
		{days(1, 10), exported(3, 0), map[string]string{"d": "2025-07-06", "g": "2025-07-07"}}, // deletes a and b, d is back
	}
	for _, e := range exports {
		if _, err := deliver(t.Context(), kept, e.file(t, dir), e, p, byTopic); err != nil {
			t.Fatal(err)
		}
	}
	beside := &Load{Files: []string{filepath.Join("testdata", "mapping", "seed.csv")}, Sink: p} // of no delivery
	if _, err := beside.Run(t.Context(), testNow); err != nil {
		t.Fatal(err)
	}

	rebuilt := filepath.Join(dir, "rebuilt")
	if err := os.MkdirAll(filepath.Join(rebuilt, "billing", "csv"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(rebuilt, "billing", "csv", "index.json"), []byte("not JSON"), 0o600); err != nil {
		t.Fatal(err)
	}
	next := export{days(1, 62), exported(4, 0), map[string]string{"e": "2025-08-01", "h": "2025-07-01"}}
	if _, err := deliver(t.Context(), rebuilt, next.file(t, dir), next, &receiver{}, byTopic); !errors.Is(err, delivery.ErrDamaged) {
		t.Fatalf("an index that is not JSON: %v", err)
	}
	for range 2 { // the second time over the first
		sources, err := RebuildDeliveries(t.Context(), config, "billing", rebuilt, quiet(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(sources) != 1 || sources[0] != (RebuiltSource{Source: "csv", Records: 4 + 4 + 2 + 4, Held: 4}) {
			t.Fatalf("rebuilt %+v", sources)
		}
	}

	compare := func(e export) {
		t.Helper()
		var texts [2]string
		for i, index := range []string{kept, rebuilt} {
			var out bytes.Buffer
			sum, err := deliver(t.Context(), index, e.file(t, dir), e, NewPrinter(&out), func(l *Load) {
				byTopic(l)
				l.Delivery.DryRun = true
			})
			if err != nil {
				t.Fatal(err)
			}
			texts[i] = out.String()
			if i == 0 && e.at.Equal(next.at) && sum.Deleted != 3 { // d, f and g
				t.Errorf("%+v", sum)
			}
		}
		if texts[0] != texts[1] {
			t.Errorf("with the index that was kept\n%swith the rebuilt one\n%s", texts[0], texts[1])
		}
	}
	compare(next)
	compare(exports[0]) // older than all: nothing of it is pushed

	// A topic of the same name is another one.
	request := kmsg.NewPtrDeleteTopicsRequest()
	request.TopicNames = []string{"billing"}
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = kmsg.StringPtr("billing")
	request.Topics = append(request.Topics, topic)
	if _, err := request.RequestWith(t.Context(), p.client); err != nil {
		t.Fatal(err)
	}
	again, err := NewPusher(t.Context(), config, "billing", 3, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	_, err = deliver(t.Context(), kept, next.file(t, dir), next, again, func(l *Load) { l.Delivery.TopicID = again.TopicID() })
	if !errors.Is(err, delivery.ErrTopic) || !strings.Contains(err.Error(), "--rebuild-deliveries") {
		t.Errorf("a topic that was recreated: %v", err)
	}
}

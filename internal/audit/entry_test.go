package audit

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"daybook/internal/billing"
)

// Keys order as their parts do, whatever bytes an account holds.
func TestPostingKeysOrder(t *testing.T) {
	t.Parallel()
	part := rapid.StringOfN(rapid.RuneFrom([]rune{0, 1, 'a', 'b', 0xFF}), 1, 5, -1)
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) *event {
			return &event{day: fmt.Sprintf("2025-01-0%d", rapid.IntRange(1, 2).Draw(t, name+" day")), account: part.Draw(t, name+" account"), id: part.Draw(t, name+" id")}
		}
		a, b := draw("a"), draw("b")
		want := slices.Compare([]string{a.day, a.account, a.id}, []string{b.day, b.account, b.id})
		if got := bytes.Compare(postingKey(nil, a), postingKey(nil, b)); got != want {
			t.Fatalf("%+v %+v: %d, want %d", a, b, got, want)
		}
	})
}

func TestEntriesReadBack(t *testing.T) {
	t.Parallel()
	e := (&judge{rules: rules()[1]}).judge(Record{Source: billing.Source{RecordTime: arrival}, Value: []byte(`{"event_id":"a","account_id":"1","service_name":"S3","usage_date":"2025-01-03","cost_usd":-1.5,"charge_category":"Credit","x":[1]}`)})
	if e.fault != "" {
		t.Fatal(e.fault)
	}
	b := appendEvent(nil, e)
	got, err := parseEvent(b)
	if err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("%+v, %v; want %+v", got, err, e)
	}
	for i := range b {
		if _, err := parseEvent(b[:i]); err == nil {
			t.Fatalf("cut at %d of %d: no error", i, len(b))
		}
	}
}

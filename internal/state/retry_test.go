package state_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"daybook/internal/billing"
	"daybook/internal/state"
)

const retryDir = "state"

// retryStore is a state under rules that holds one quarantined record.
func retryStore(t *testing.T, fs vfs.FS, rules billing.Rules) *state.Store {
	t.Helper()
	o := state.Options{FS: fs, CacheBytes: 8 << 20, MemTableBytes: 1 << 20, FilterBytes: 1 << 16,
		Fatal: func(err error) { panic(err) }}
	id := state.Identity{Cluster: "c", Topics: []state.Topic{{Name: "billing"}}, Rules: rules}
	if err := state.Create(retryDir, id, o); err != nil {
		t.Fatal(err)
	}
	s, err := state.Open(retryDir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b := &state.Batch{Advances: []state.Advance{{Next: 1, Delivered: 1}}}
	b.Add(state.Record{Key: []byte("k"), Value: []byte("v"), Size: 1, Rejection: &billing.Rejection{Reason: "cost_negative"}})
	if _, err := s.Apply(b); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRetryRefusesStricterRules: a record that was accepted is not judged again, so rules under which it might have
// been rejected, or might have belonged to another tenant, are refused, and the state keeps its own.
func TestRetryRefusesStricterRules(t *testing.T) {
	base := func() billing.Rules {
		r := billing.DefaultRules()
		r.DefaultNegative = billing.LabelledNegative
		r.Negative = map[billing.TenantID]billing.NegativePolicy{"strict": billing.RejectNegative, "lax": billing.AllowNegative}
		r.Bindings = map[string]billing.TenantID{"billing": "acme"}
		return r
	}
	for _, c := range []struct {
		name    string
		change  func(*billing.Rules)
		refused bool
	}{
		{"the same rules", func(*billing.Rules) {}, false},
		{"laxer default policy", func(r *billing.Rules) { r.DefaultNegative = billing.AllowNegative }, false},
		{"laxer policy of a named tenant", func(r *billing.Rules) { r.Negative["strict"] = billing.LabelledNegative }, false},
		{"laxer policy of a tenant named now", func(r *billing.Rules) { r.Negative["new"] = billing.AllowNegative }, false},
		{"a strict tenant no longer named", func(r *billing.Rules) { delete(r.Negative, "strict") }, false},
		{"higher bounds", func(r *billing.Rules) {
			r.MaxUsageAhead += time.Hour
			r.MaxIngestedAhead += time.Hour
			r.MaxRecordBytes++
		}, false},

		{"stricter default policy", func(r *billing.Rules) { r.DefaultNegative = billing.RejectNegative }, true},
		{"stricter default policy, all named tenants laxer", func(r *billing.Rules) {
			r.DefaultNegative = billing.RejectNegative
			r.Negative["strict"] = billing.AllowNegative
		}, true},
		{"stricter policy of a named tenant", func(r *billing.Rules) { r.Negative["lax"] = billing.LabelledNegative }, true},
		{"stricter policy of a tenant named now", func(r *billing.Rules) { r.Negative["new"] = billing.RejectNegative }, true},
		{"a lax tenant no longer named", func(r *billing.Rules) { delete(r.Negative, "lax") }, true},
		{"another tenant for a topic", func(r *billing.Rules) { r.Bindings["billing"] = "globex" }, true},
		{"a topic no longer bound", func(r *billing.Rules) { delete(r.Bindings, "billing") }, true},
		{"a topic bound now", func(r *billing.Rules) { r.Bindings["more"] = "acme" }, true},
		{"lower bound of usage_date", func(r *billing.Rules) { r.MaxUsageAhead -= time.Hour }, true},
		{"lower bound of ingested_at", func(r *billing.Rules) { r.MaxIngestedAhead -= time.Hour }, true},
		{"lower bound of a record", func(r *billing.Rules) { r.MaxRecordBytes-- }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := retryStore(t, vfs.NewMem(), base())
			next := base()
			c.change(&next)
			judged := 0
			_, err := s.Retry(next, state.Decision{Who: "op", Why: "test"}, func(q *state.Quarantined) state.Record {
				judged++
				return state.Record{Rejection: &q.Rejection, Size: q.Size, Value: q.Value}
			})
			want := next
			if c.refused {
				want = base()
			}
			if errors.Is(err, state.ErrRules) != c.refused || !c.refused && err != nil {
				t.Errorf("refused %t, want %t: %v", err != nil, c.refused, err)
			}
			if (judged == 0) != c.refused {
				t.Errorf("%d records were judged", judged)
			}
			if got := fmt.Sprintf("%+v", s.Identity().Rules); got != fmt.Sprintf("%+v", want) {
				t.Errorf("the state has the rules %s, want %+v", got, want)
			}
		})
	}
}

package headline

import (
	"encoding/json"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"daybook/internal/billing"
	"daybook/internal/decode"
	"daybook/internal/test/oracle"
)

// TestVerdictsAgreeWithModel reads one record by both and compares everything
// that a verdict says: the fields, or what was still readable.
func TestVerdictsAgreeWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := billing.DefaultRules()
		rules.DefaultNegative = rapid.SampledFrom([]billing.NegativePolicy{
			billing.RejectNegative, billing.LabelledNegative, billing.AllowNegative,
		}).Draw(t, "policy")
		m := one(2).Draw(t, "message")
		r := oracle.Record{Partition: m.Partition, Offset: 41, Timestamp: m.Time.UnixMilli(), Value: []byte(m.Value), Null: m.Null}
		model := oracle.New(rules, "billing")
		model.Add(r)
		modelTables := model.Tables()

		var e billing.Event
		_, no := decode.New(rules).Decode(decode.Record{Topic: "billing", Source: source(r), Null: r.Null, Value: r.Value}, &e)
		if no != nil {
			if len(modelTables.Rejected) != 1 {
				t.Fatalf("%s is rejected (%v), not by the model", m.Value, no)
			}
			want := modelTables.Rejected[0]
			if want.Malformed {
				return
			}
			got := fmt.Sprintf("%s|%s|%s|%s", no.Tenant, no.Event, no.Account, readableDay(no))
			if model := fmt.Sprintf("%s|%s|%s|%s", want.Tenant, want.ID, want.Account, want.Day); got != model {
				t.Errorf("readable of %s (%s): %s, the model says %s (%s)", m.Value, no.Reason, got, model, want.Why)
			}
			if int64(no.Version.IngestedAt) != want.IngestedAt || no.Version.SourceRevision != want.Revision {
				t.Errorf("version of %s: %+v, the model says %+v", m.Value, no.Version, want)
			}
			return
		}
		want, ok := modelTables.Winners[oracle.EventKey{Tenant: e.Tenant, ID: e.ID}]
		if !ok {
			t.Fatalf("%s is an event %+v, not to the model: %+v", m.Value, e, modelTables.Rejected)
		}
		if int64(e.Version.IngestedAt) != want.IngestedAt || e.Version.SourceRevision != want.Revision || (e.Op == billing.Delete) != want.Deleted {
			t.Errorf("%s: %+v, the model says %+v", m.Value, e, want)
		}
		if want.Deleted {
			return
		}
		got := fmt.Sprintln(e.Account, e.Service, e.Day, e.Cost, e.Region, e.PricingModel, e.Category, e.Period)
		if model := fmt.Sprintln(want.Account, want.Service, want.Day, oracle.Text(want.Cost), want.Region, want.PricingModel,
			want.Category, want.Period); got != model {
			t.Errorf("%s: %s, the model says %s", m.Value, got, model)
		}
		sameAttributes(t, e.Attributes, want.Attributes)
	})
}

func readableDay(no *billing.Rejection) string {
	if !no.HasDay {
		return ""
	}
	return no.Day.String()
}

func sameAttributes(t *rapid.T, got string, want map[string]string) {
	var members map[string]json.RawMessage
	if got != "" {
		if err := json.Unmarshal([]byte(got), &members); err != nil {
			t.Fatalf("attributes %s: %v", got, err)
		}
	}
	if len(members) != len(want) {
		t.Errorf("attributes %s, the model says %v", got, want)
	}
	for name, value := range want {
		if string(members[name]) != value {
			t.Errorf("attribute %s is %s, the model says %s", name, members[name], value)
		}
	}
}

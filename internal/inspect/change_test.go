package inspect

import (
	"errors"
	"math"
	"strings"
	"testing"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/lake"
	"daybook/internal/rollup"
)

func usd(t *testing.T, text string) billing.Money {
	t.Helper()
	m, _, err := billing.ParseMoney(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// content is an account-day with a total, of one service; an empty total: the release does not have it.
func content(t *testing.T, total string, events int64, service billing.ServiceName, reasons ...string) AccountDay {
	t.Helper()
	if total == "" {
		return AccountDay{Reasons: reasons}
	}
	c := AccountDay{Reasons: reasons, Row: &lake.AccountDayRow{Account: "a", Total: usd(t, total), Events: events, Complete: len(reasons) == 0}}
	if events > 0 {
		c.Services = []lake.ServiceDayRow{{Account: "a", Service: service, Total: c.Row.Total, Events: events}}
	}
	return c
}

func TestChange(t *testing.T) {
	negative, syntax := ReasonQuarantine("cost_negative"), ReasonQuarantine("json_syntax")
	none := content(t, "", 0, "")
	for _, c := range []struct {
		name          string
		before, after AccountDay
		causes        string
		kind          lake.ChangeKind // empty: no change
		reasons       string
		delta         string
	}{
		{"absent in both", none, none, "deleted", "", "", ""},
		{"equal", content(t, "1", 1, "s"), content(t, "1", 1, "s"), "corrected", "", "", ""},
		{"new", none, content(t, "1", 1, "s"), "new", lake.ChangeNew, "new", "1"},
		{"new, and not complete for a reason that held before", content(t, "", 0, "", ReasonInputBehind), content(t, "1", 1, "s", ReasonInputBehind), "new", lake.ChangeNew, "new,input_behind", "1"},
		{"new, of quarantine alone", none, content(t, "0", 0, "", negative), "", lake.ChangeNew, negative, "0"},
		{"retracted", content(t, "1", 1, "s"), none, "moved_out", lake.ChangeRetracted, "moved_out", "-1"},
		{"retracted, for its quarantine is resolved", content(t, "0", 0, "", negative), none, "", lake.ChangeRetracted, "quarantine_resolved", "0"},
		{"total", content(t, "1", 1, "s"), content(t, "3", 1, "s"), "corrected", lake.ChangeRestated, "corrected", "2"},
		{"events", content(t, "1", 1, "s"), content(t, "1", 2, "s"), "late_event", lake.ChangeRestated, "late_event", "0"},
		{"services", content(t, "1", 1, "s"), content(t, "1", 1, "x"), "corrected", lake.ChangeRestated, "corrected", "0"},
		{"becomes incomplete", content(t, "1", 1, "s"), content(t, "1", 1, "s", negative), "", lake.ChangeCompleteness, negative, "0"},
		{"another reason", content(t, "1", 1, "s", negative), content(t, "1", 1, "s", negative, syntax), "", lake.ChangeCompleteness, negative + "," + syntax, "0"},
		{"one reason for another", content(t, "1", 1, "s", negative), content(t, "1", 1, "s", ReasonInputBehind), "", lake.ChangeCompleteness, "quarantine_resolved,input_behind", "0"},
		{"resolved", content(t, "1", 1, "s", negative, syntax), content(t, "2", 2, "s"), "late_event", lake.ChangeRestated, "late_event,quarantine_resolved", "1"},
		{"input read", content(t, "1", 1, "s", ReasonInputBehind), content(t, "1", 1, "s"), "", lake.ChangeCompleteness, "input_behind_resolved", "0"},
		{"restated, still incomplete", content(t, "1", 1, "s", negative), content(t, "2", 1, "s", negative), "corrected", lake.ChangeRestated, "corrected", "1"},
		{"rollback", content(t, "1", 1, "s", negative), content(t, "1", 1, "s"), "rollback", lake.ChangeCompleteness, "rollback", "0"},
	} {
		var causes []string
		if c.causes != "" {
			causes = strings.Split(c.causes, ",")
		}
		at := billing.AccountDay{Tenant: "acme", Account: "a", Day: 20000}
		got, changed, err := Change(at, c.before, c.after, causes)
		if err != nil || changed != (c.kind != "") {
			t.Errorf("%s: changed %t, %v", c.name, changed, err)
			continue
		}
		if !changed {
			continue
		}
		if got.Kind != c.kind || strings.Join(got.Reasons, ",") != c.reasons || got.Delta != usd(t, c.delta) ||
			got.HasOld != (c.before.Row != nil) || got.HasNew != (c.after.Row != nil) ||
			got.Tenant != at.Tenant || got.Account != at.Account || got.Day != at.Day {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	greatest := strings.Repeat("9", 20)
	_, _, err := Change(billing.AccountDay{}, content(t, "-"+greatest, 1, "s"), content(t, greatest, 1, "s"), nil)
	if !errors.Is(err, rollup.ErrOverflow) {
		t.Errorf("overflow: %v", err)
	}
}

func TestCauses(t *testing.T) {
	all := dedup.Change(math.MaxUint8)
	for released, want := range map[bool]string{
		false: "new,corrected,moved_in,moved_out,deleted", true: "late_event,corrected,moved_in,moved_out,deleted",
	} {
		if got := strings.Join(Causes(all, released), ","); got != want {
			t.Errorf("released %t: %s, want %s", released, got, want)
		}
	}
	if got := Causes(dedup.Withheld, true); len(got) != 0 {
		t.Errorf("quarantine: %q", got)
	}
}

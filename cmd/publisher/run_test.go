package main

import (
	"testing"

	"daybook/internal/cli"
	"daybook/internal/lake"
)

// TestChangesText: counts of zero are left out, and money is named only where it can have changed.
func TestChangesText(t *testing.T) {
	usd := func(text string) (s lake.ChangeSummary) {
		if err := s.Delta.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	delta := usd("-1.25").Delta
	gross := usd("3.75").Delta
	for _, c := range []struct {
		summary lake.ChangeSummary
		want    string
	}{
		{lake.ChangeSummary{}, "no account-day changed"},
		{lake.ChangeSummary{New: 1200, Delta: gross}, "1,200 account-days new; net change 3.75 USD"},
		{lake.ChangeSummary{Restated: 1, Delta: delta, RestatedAbs: gross}, "1 account-day restated; net change -1.25 USD, gross restated 3.75 USD"},
		{
			lake.ChangeSummary{New: 1, Restated: 2, Retracted: 3, Completeness: 4, Delta: delta, RestatedAbs: gross},
			"1 account-day new, 2 restated, 3 retracted, 4 changed in completeness; net change -1.25 USD, gross restated 3.75 USD",
		},
		{lake.ChangeSummary{Completeness: 2}, "2 account-days changed in completeness"},
	} {
		if got := changesText(&cli.Context{}, &c.summary); got != c.want {
			t.Errorf("%+v: %q, want %q", c.summary, got, c.want)
		}
	}
}

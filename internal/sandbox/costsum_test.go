package sandbox

import (
	"strings"
	"testing"

	"daybook/internal/billing"
)

func TestLedger(t *testing.T) {
	f := func(want string, rounded, unreadable int64, events ...string) {
		t.Helper()
		var l costSum
		for _, e := range events {
			l.add([]byte(e))
		}
		if l.String() != want || l.rounded != rounded || l.unreadable != unreadable || l.rows != int64(len(events)) {
			t.Errorf("%v: %s, %d rounded, %d unreadable of %d; want %s, %d, %d", events, l.String(), l.rounded, l.unreadable, l.rows, want, rounded, unreadable)
		}
		m, _, err := billing.ParseMoney(want)
		if err != nil || !l.equals(m) {
			t.Errorf("%v: %s does not equal %s (%v)", events, l.String(), m, err)
		}
		if more, ok := m.Add(mustMoney(t, "0.000000000000000001")); !ok || l.equals(more) {
			t.Errorf("%v: equals a sum that is one unit more", events)
		}
	}
	cost := func(text string) string { return `{"cost_usd":` + text + `,"other":[1,{"cost_usd":7}]}` }
	f("0", 0, 0)
	f("15", 0, 0, cost(`"10.0"`), cost(`5.0`))
	f("-1.5", 0, 0, cost(`"-1.5"`))
	f("0.0012", 0, 0, cost(`1.2e-3`))
	f("2", 0, 1, cost(`"2"`), cost(`"two"`))
	f("0", 0, 4, `{}`, `[]`, cost(`null`), cost(`"1e999999999"`))
	f("0", 0, 3, cost(`"0x10"`), cost(`"1/3"`), cost(`""`))
	// Half-even at the 18th place, each row on its own, negative ones too.
	f("0.000000000000000002", 2, 0, cost(`"0.0000000000000000005"`), cost(`"0.0000000000000000015"`))
	f("-0.000000000000000002", 2, 0, cost(`"-0.0000000000000000005"`), cost(`"-0.0000000000000000015"`))
	f("0.000000000000000001", 1, 0, cost(`"0.00000000000000000051"`))
	f("0", 1, 0, cost(`"0.00000000000000000049"`))
}

func mustMoney(t *testing.T, text string) billing.Money {
	t.Helper()
	m, _, err := billing.ParseMoney(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestShellQuote(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := shellQuote(in); got != want {
			t.Errorf("shellQuote(%s) = %s, want %s", in, got, want)
		}
	}
	f(`SELECT 'a b'`, `"SELECT 'a b'"`)
	f(`a$b 'c'`, `'a$b '\''c'\'''`)
	f("`x`", "'`x`'")
}

func TestWeekIsTheSeedsExample(t *testing.T) {
	sum := map[string]*costSum{}
	for _, c := range week()[:21] {
		key := c.Account + " " + c.Day
		if sum[key] == nil {
			sum[key] = &costSum{}
		}
		sum[key].add([]byte(`{"cost_usd":"` + c.Cost + `"}`))
	}
	if len(sum) != 14 || sum["acct-001 2025-01-01"].String() != "15" || sum["acct-002 2025-01-01"].String() != "7" {
		t.Errorf("the week's account-days: %d, %s and %s on the first", len(sum), sum["acct-001 2025-01-01"], sum["acct-002 2025-01-01"])
	}
	if c, before := correction(); c.Day != correctedDay || before == c.Cost || !strings.Contains(string(jsonLines(week()...)), c.ID) {
		t.Errorf("the correction %v does not correct a charge of the week", c)
	}
}

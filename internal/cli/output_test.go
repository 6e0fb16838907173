package cli

import (
	"bytes"
	"testing"
)

func TestTable(t *testing.T) {
	var b bytes.Buffer
	err := Table(&b, []string{"account_id", ">total_cost_usd", "note"}, [][]string{
		{"acct-001", "15", "a\nb"},
		{"東京", "1234.5", ""},
		{"short"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `account_id  total_cost_usd  note
acct-001                15  a\x0ab
東京                1234.5
short
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestJSONKeepsText(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, map[string]any{"a": "x<y>&z"}); err != nil {
		t.Fatal(err)
	}
	if want := "{\n  \"a\": \"x<y>&z\"\n}\n"; b.String() != want {
		t.Errorf("got %q", b.String())
	}
}

func TestCount(t *testing.T) {
	f := func(n int64, want string) {
		t.Helper()
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %s, want %s", n, got, want)
		}
	}
	f(0, "0")
	f(999, "999")
	f(1000, "1,000")
	f(-1234567, "-1,234,567")
	f(-9223372036854775808, "-9,223,372,036,854,775,808")
}

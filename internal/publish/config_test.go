package publish

import (
	"reflect"
	"testing"

	"github.com/alecthomas/kong"
)

// TestDefaultsAreThoseOfTheFlags: DefaultConfig is what a command line without flags gives.
func TestDefaultsAreThoseOfTheFlags(t *testing.T) {
	var flags struct {
		Config `embed:""`
	}
	parser, err := kong.New(&flags)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil); err != nil {
		t.Fatal(err)
	}
	if want := DefaultConfig(); !reflect.DeepEqual(flags.Config, want) {
		t.Errorf("flags give %+v, DefaultConfig %+v", flags.Config, want)
	}
}

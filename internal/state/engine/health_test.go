package engine

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/go-json-experiment/json"
)

// TestFatalDoesNotReturn: Pebble calls the logger's Fatalf where no write may be
// acknowledged any more; it must not return, whatever Options.Fatal does.
func TestFatalDoesNotReturn(t *testing.T) {
	called := false
	l := logger{log: slog.New(slog.DiscardHandler), fatal: func(error) { called = true }}
	defer func() {
		if p := recover(); p == nil || !called {
			t.Errorf("Fatalf returned (called %t, panic %v)", called, p)
		}
	}()
	l.Fatalf("broken")
	t.Error("Fatalf returned")
}

// TestLogLinesHaveDistinctKeys: a line of Pebble's is one JSON object without a member that occurs twice.
func TestLogLinesHaveDistinctKeys(t *testing.T) {
	var out bytes.Buffer
	l := logger{log: slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	l.Infof("flushed %d", 1)
	l.Errorf("compaction of %s failed", "L0")
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), out.Bytes())
	}
	for _, line := range lines {
		var members map[string]string
		if err := json.Unmarshal(line, &members); err != nil || members["detail"] == "" {
			t.Errorf("%s: %v", line, err)
		}
	}
}

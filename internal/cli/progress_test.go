package cli

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestProgressInALog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		c := &Context{Log: slog.New(slog.NewTextHandler(&out, nil))}

		short := c.NewProgress("rebuild", "records", 100)
		time.Sleep(9 * time.Second)
		short.Set(100, 100)
		short.Close()
		if out.String() != "" {
			t.Errorf("nine seconds of work logged %q", out.String())
		}

		p := c.NewProgress("rebuild", "records", 10000)
		time.Sleep(time.Second)
		p.Set(0, 10000)
		time.Sleep(4 * time.Second)
		p.Set(2500, 10000)
		time.Sleep(6 * time.Second)
		if !strings.Contains(out.String(), `msg=progress work=rebuild status="2,500 of 10,000 records, 250/s, 30s left"`) {
			t.Errorf("after 10 s: %q", out.String())
		}
		p.Set(10000, 10000)
		p.Close()
		p.Close()
		if got := strings.Count(out.String(), "\n"); got != 2 || !strings.Contains(out.String(), "10,000 of 10,000") {
			t.Errorf("at the end: %q", out.String())
		}
	})
}

func TestProgressStatusOfUnknownTotalAndResumedWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Context{Log: slog.New(slog.DiscardHandler)}
		p := c.NewProgress("load", "rows", 0)
		defer p.Close()
		if got := p.status(); got != "0 rows" {
			t.Errorf("status %q", got)
		}
		p.Set(1000, 0) // done before this run
		time.Sleep(2 * time.Second)
		p.Set(1500, 0)
		if got := p.status(); got != "1,500 rows, 250/s" {
			t.Errorf("status %q", got)
		}
	})
}

func TestProgressBarLeavesLogLinesWhole(t *testing.T) {
	var out buffer
	con := &console{w: &out}
	c := &Context{Interactive: true, console: con, Log: slog.New(slog.NewTextHandler(con, nil))}
	p := c.NewProgress("rebuild", "records", 10)
	p.Set(5, 10)
	c.Log.Info("a line")
	p.Set(10, 10)
	p.Close()
	c.Log.Info("another line")
	for _, want := range []string{"msg=\"a line\"\n", "msg=\"another line\"\n", "10 of 10 records"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %q", want, out.String())
		}
	}
}

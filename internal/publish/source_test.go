package publish

import (
	"context"
	"net"
	"testing"
	"time"

	"daybook/internal/control"
	"daybook/internal/state"
	"daybook/internal/statedir"
)

// TestCheckpointOfAnIngestThatEnds: an ingest ends while it is asked for a checkpoint and keeps the state locked a
// little longer. Then the publisher takes the checkpoint itself.
func TestCheckpointOfAnIngestThatEnds(t *testing.T) {
	w := newWorld(t)
	asked := make(chan struct{}, 1)
	connect := func(context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			if n, _ := far.Read(make([]byte, 4096)); n > 0 {
				asked <- struct{}{}
			}
		}()
		return near, nil
	}
	dials := 0
	source := statedir.Dir{Path: w.stateDir, Options: w.options(), Dial: func(ctx context.Context, _ string) (*control.Client, error) {
		if dials++; dials > 1 {
			return nil, control.ErrNotRunning
		}
		return control.Connect(ctx, connect)
	}}
	ended := make(chan error, 1)
	go func() {
		<-asked
		time.Sleep(20 * time.Millisecond)
		ended <- w.store.Close()
	}()
	c, err := source.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c.Head().Sequence == 0 {
		t.Error("the copy is empty")
	}
	w.check(c.Close())
	w.check(<-ended)
	w.store, err = state.Open(w.stateDir, w.options())
	w.check(err)
}

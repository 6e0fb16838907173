package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"daybook/internal/billing"
	"daybook/internal/state"
)

// Client is a client of a running ingest. It has the methods of Handler and is safe for concurrent use. The caller
// closes it.
type Client struct{ http *http.Client }

// Client implements Handler by requests.
var _ Handler = (*Client)(nil)

// Timeouts of requests. Live is answered from memory; the others wait for the disk.
const (
	liveTimeout   = 10 * time.Second
	answerTimeout = 5 * time.Minute
)

// Dial connects to the ingest that runs on the state directory dir. Errors: ErrNotRunning if there is none,
// ErrForbidden if it belongs to another user, ErrSilent if it does not answer.
func Dial(ctx context.Context, dir string) (*Client, error) {
	c, err := Connect(ctx, func(ctx context.Context) (net.Conn, error) { return dial(ctx, dir) })
	if err != nil {
		return nil, err
	}
	// The kernel accepts connections for a stopped process: only an answer shows that it runs.
	if _, err := c.Live(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Connect is Dial with connections of the given dial function.
func Connect(ctx context.Context, dial func(context.Context) (net.Conn, error)) (*Client, error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, wrapDial(err)
	}
	// The probe connection showed that an ingest listens. Requests open connections of their own.
	if err := conn.Close(); err != nil {
		return nil, fmt.Errorf("close probe of control socket: %w", err)
	}
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}}, nil
}

// Close closes the idle connections of the client.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Checkpoint implements Handler.
func (c *Client) Checkpoint(ctx context.Context) (CheckpointReply, error) {
	var r CheckpointReply
	err := c.ask(ctx, http.MethodPost, "checkpoint", nil, &r)
	return r, err
}

// DropCheckpoint implements Handler.
func (c *Client) DropCheckpoint(ctx context.Context, id string) error {
	return c.ask(ctx, http.MethodDelete, "checkpoint/"+url.PathEscape(id), nil, nil)
}

// SetCovered implements Handler.
func (c *Client) SetCovered(ctx context.Context, tenant billing.TenantID, seq state.Sequence) error {
	return c.ask(ctx, http.MethodPost, "covered", coveredRequest{Tenant: tenant, Sequence: seq}, nil)
}

// Decide implements Handler.
func (c *Client) Decide(ctx context.Context, d state.Decision) (uint64, error) {
	var r decideReply
	err := c.ask(ctx, http.MethodPost, "decide", d, &r)
	return r.Number, err
}

// Live implements Handler.
func (c *Client) Live(ctx context.Context) (Live, error) {
	var l Live
	ctx, cancel := context.WithTimeoutCause(ctx, liveTimeout, ErrSilent)
	defer cancel()
	err := c.ask(ctx, http.MethodGet, "live", nil, &l)
	return l, err
}

// Status implements Handler.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.ask(ctx, http.MethodGet, "status", nil, &s)
	return s, err
}

// ask sends one request and decodes the answer into v, unless v is nil.
func (c *Client) ask(ctx context.Context, method, path string, body, v any) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, ErrSilent)
	defer cancel()
	defer func() {
		if err != nil && errors.Is(context.Cause(ctx), ErrSilent) {
			err = fmt.Errorf("%w: look at its process, its log and its disk (asked for %s)", ErrSilent, path)
		}
	}()
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("write request to ingest: %w", err)
		}
		sent = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://ingest/v1/"+path, sent)
	if err != nil {
		return fmt.Errorf("make request to ingest: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return wrapDial(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return wrapDial(err)
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(resp.StatusCode, answer)
	}
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(answer, v); err != nil {
		return fmt.Errorf("read answer of ingest: %w", err)
	}
	return nil
}

// refusal returns the error of an answer other than 200.
func refusal(code int, answer []byte) error {
	var e errorReply
	if json.Unmarshal(answer, &e) != nil || e.Error == "" {
		return fmt.Errorf("ingest answers %d: is it of the same version?", code)
	}
	if code == http.StatusNotFound {
		return fmt.Errorf("ingest: %w", ErrUnknownCheckpoint)
	}
	return fmt.Errorf("ingest: %s", e.Error)
}

// wrapDial returns sentinels unchanged, detects that the ingest is gone, and adds the operation to other errors.
func wrapDial(err error) error {
	for _, sentinel := range []error{ErrNotRunning, ErrForbidden} {
		if errors.Is(err, sentinel) {
			return sentinel
		}
	}
	for _, broken := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, broken) {
			return fmt.Errorf("%w: %w", ErrEnded, err)
		}
	}
	return fmt.Errorf("talk to ingest: %w", err)
}

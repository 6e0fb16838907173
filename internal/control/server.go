package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"daybook/internal/billing"
	"daybook/internal/state"
)

// Limits of the server: a decision may resolve many quarantined records, and a stalled caller must not delay a
// shutdown.
const (
	maxRequestBytes = 64 << 20
	shutdownTimeout = 10 * time.Second
)

// coveredRequest is the body of POST /v1/covered.
type coveredRequest struct {
	Tenant   billing.TenantID `json:"tenant"`
	Sequence state.Sequence   `json:"sequence"`
}

// decideReply is the answer to POST /v1/decide.
type decideReply struct {
	Number uint64 `json:"number"`
}

// errorReply is the body of every answer that is not 200.
type errorReply struct {
	Error string `json:"error"`
}

// Listen serves h on dir's socket (mode 0600) until ctx ends, waits for the
// running requests, and removes the socket. The caller holds the state's lock, so
// a socket that is there already was left by a process that died.
func Listen(ctx context.Context, dir string, h Handler) error {
	l, err := listen(dir)
	if err != nil {
		return fmt.Errorf("listen on control socket: %w", err)
	}
	defer os.Remove(filepath.Join(dir, SocketName))
	return Serve(ctx, l, h)
}

// Serve serves h on l until ctx ends, waits for running requests, and closes l.
func Serve(ctx context.Context, l net.Listener, h Handler) error {
	server := &http.Server{
		Handler:           newMux(h),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve control socket: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := server.Shutdown(grace)
	if err != nil {
		err = server.Close()
	}
	if end := <-served; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// newMux maps the endpoints of the protocol to h.
func newMux(h Handler) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/checkpoint", func(w http.ResponseWriter, r *http.Request) {
		reply, err := h.Checkpoint(r.Context())
		answer(w, reply, err)
	})
	mux.HandleFunc("DELETE /v1/checkpoint/{id}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, struct{}{}, h.DropCheckpoint(r.Context(), r.PathValue("id")))
	})
	mux.HandleFunc("POST /v1/covered", func(w http.ResponseWriter, r *http.Request) {
		var req coveredRequest
		if read(w, r, &req) {
			answer(w, struct{}{}, h.SetCovered(r.Context(), req.Tenant, req.Sequence))
		}
	})
	mux.HandleFunc("POST /v1/decide", func(w http.ResponseWriter, r *http.Request) {
		var d state.Decision
		if read(w, r, &d) {
			n, err := h.Decide(r.Context(), d)
			answer(w, decideReply{Number: n}, err)
		}
	})
	mux.HandleFunc("GET /v1/live", func(w http.ResponseWriter, r *http.Request) {
		live, err := h.Live(r.Context())
		answer(w, live, err)
	})
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		status, err := h.Status(r.Context())
		answer(w, status, err)
	})
	return mux
}

// read decodes the body of the request into v, or answers 400.
func read(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, next := d.Token(); !errors.Is(next, io.EOF) {
			err = errors.New("data after the document")
		}
	}
	if err != nil {
		reply(w, http.StatusBadRequest, errorReply{Error: "read request: " + err.Error()})
		return false
	}
	return true
}

// answer sends v, or err.
func answer(w http.ResponseWriter, v any, err error) {
	switch {
	case err == nil:
		reply(w, http.StatusOK, v)
	case errors.Is(err, ErrUnknownCheckpoint):
		reply(w, http.StatusNotFound, errorReply{Error: err.Error()})
	default:
		reply(w, http.StatusInternalServerError, errorReply{Error: err.Error()})
	}
}

// reply sends v as JSON. An error of the connection is ignored.
func reply(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, `{"error":"answer cannot be written as JSON"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

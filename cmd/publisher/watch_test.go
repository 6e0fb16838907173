package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// request is one that a gateway was sent.
type request struct{ method, path, body string }

// gateway starts a server that takes what is pushed to it; its address is $GATEWAY.
func gateway(ts *testscript.TestScript, _ bool, _ []string) {
	sent := make(chan request, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			sent <- request{r.Method, r.URL.Path, string(body)}
		}
	}))
	ts.Defer(s.Close)
	ts.Setenv("GATEWAY", s.URL)
	gateways.Store(ts.Name(), sent)
}

// gateways are the channels of the scripts' gateways, by script.
var gateways sync.Map

// pushed METHOD PATH TEXT says what the gateway must have been sent; PATH is a regular expression.
func pushed(ts *testscript.TestScript, _ bool, args []string) {
	sent, ok := gateways.Load(ts.Name())
	if !ok {
		ts.Fatalf("no gateway")
	}
	select {
	case r := <-sent.(chan request):
		if r.method != args[0] || !regexp.MustCompile("^"+args[1]+"$").MatchString(r.path) || !strings.Contains(r.body, args[2]) {
			ts.Fatalf("sent was %s %s with %d bytes", r.method, r.path, len(r.body))
		}
	default:
		ts.Fatalf("nothing was sent")
	}
}

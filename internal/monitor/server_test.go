package monitor

import (
	"errors"
	"net"
)

// Addr is the address that the server listens on; empty if it does not listen.
func (s *Server) Addr() string {
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Close closes the listener of a server whose Run was not called, or stops Run.
func (s *Server) Close() error {
	if s.listener == nil {
		return nil
	}
	if err := s.http.Close(); err != nil {
		return err
	}
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

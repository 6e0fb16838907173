package monitor

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate is a certificate and its key in files, which may be replaced
// while they are in use. Safe for concurrent use.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu struct {
		sync.Mutex
		pair     *tls.Certificate // the last valid one
		modified [2]time.Time     // of the files, at the last check
	}
}

// load reads the files.
func (c *certificate) load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	modified, err := c.modified()
	if err != nil {
		return err
	}
	return c.loadLocked(modified)
}

func (c *certificate) loadLocked(modified [2]time.Time) error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("read --monitor-tls-cert and --monitor-tls-key: %w", err)
	}
	c.mu.pair, c.mu.modified = &pair, modified
	return nil
}

// get returns the certificate for one connection, and reads it again if a file changed. While the files do not match,
// because only one of them is replaced, it returns the last valid pair.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	modified, err := c.modified()
	if err == nil && modified != c.mu.modified {
		err = c.loadLocked(modified)
	}
	if err != nil {
		c.log.Warn("serve metrics by the certificate that was read before", "error", err)
	}
	return c.mu.pair, nil
}

// modified returns the modification times of the files.
func (c *certificate) modified() (at [2]time.Time, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return at, fmt.Errorf("read --monitor-tls-cert and --monitor-tls-key: %w", err)
		}
		at[i] = info.ModTime()
	}
	return at, nil
}

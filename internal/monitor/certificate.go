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
		pair     *tls.Certificate // the last one that was good
		modified [2]time.Time     // of the files, when they were looked at
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

// get is the certificate for one connection: read again if a file changed. While the files do not
// fit, because one of them is replaced already, the last pair that did is served.
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

// modified are the times of the files.
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

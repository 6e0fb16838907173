package produce

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// Stdin is the file name of the standard input.
const Stdin = "-"

// bufferBytes is the size of the read buffers.
const bufferBytes = 256 << 10

// source is an opened file: decompressed, without a byte order mark.
type source struct {
	*bufio.Reader
	close func()
}

// openSource opens a file, or stdin. read counts the bytes that are read from disk, for progress. Errors do not
// name the file.
func openSource(name string, stdin io.Reader, read *atomic.Int64) (*source, error) {
	s := &source{close: func() {}}
	raw := stdin
	if name != Stdin {
		f, err := os.Open(name)
		if err != nil {
			if path, ok := errors.AsType[*os.PathError](err); ok {
				err = path.Err // the caller adds the file
			}
			return nil, fmt.Errorf("open: %w", err)
		}
		s.close = func() { _ = f.Close() } // nothing was written
		raw = f
	}
	if err := s.begin(&countingReader{raw, read}); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// begin inspects the first bytes: it decompresses, drops a byte order mark, and refuses files that are neither text nor
// gzip.
func (s *source) begin(r io.Reader) error {
	buffered := bufio.NewReaderSize(r, bufferBytes)
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return fmt.Errorf("read gzip: %w", err)
		}
		buffered = bufio.NewReaderSize(unzipped, bufferBytes)
	}
	beginning, err := buffered.Peek(4)
	if err != nil && err != io.EOF {
		return fmt.Errorf("read: %w", err)
	}
	if err := refuseForeign(beginning); err != nil {
		return err
	}
	if bytes.HasPrefix(beginning, []byte("\xef\xbb\xbf")) {
		if _, err := buffered.Discard(3); err != nil {
			return fmt.Errorf("read: %w", err)
		}
	}
	s.Reader = buffered
	return nil
}

// titleOf is the name of a file in messages.
func titleOf(name string) string {
	if name == Stdin {
		return "standard input"
	}
	return name
}

// countingReader counts the bytes that it reads.
type countingReader struct {
	r io.Reader
	n *atomic.Int64
}

// Read reads and counts.
func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

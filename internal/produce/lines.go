package produce

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// maxLineBytes bounds the bytes of a line in memory; the rest of a longer line is skipped.
const maxLineBytes = 4 << 20

// lines reads JSON lines: one event per line. Blank lines are skipped.
type lines struct {
	src  *source
	line int
	buf  []byte
}

// next reads the next line that is not blank. errBadRow marks a line that is too long, io.EOF the end of the file. Any
// other error concerns the file.
func (l *lines) next() (row, error) {
	for {
		l.buf = l.buf[:0]
		tooLong := false
		for {
			part, err := l.src.ReadSlice('\n')
			if room := maxLineBytes - len(l.buf); len(part) > room {
				part, tooLong = part[:room], true
			}
			l.buf = append(l.buf, part...)
			if err == nil {
				break
			}
			if errors.Is(err, io.EOF) {
				if len(l.buf) == 0 {
					return row{}, io.EOF
				}
				break
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				return row{}, fmt.Errorf("read: %w", err)
			}
		}
		l.line++
		r := row{line: l.line, lastLine: l.line, raw: bytes.TrimSpace(l.buf)}
		if tooLong {
			return r, fmt.Errorf("%w: the line is longer than %d bytes", errBadRow, maxLineBytes)
		}
		if len(r.raw) > 0 {
			return r, nil
		}
	}
}

// lineEvent returns the event of one line: the line itself, with tenant_id and ingested_at of the load if the line has
// none. The id is empty if it cannot be read; ingest then rejects the event.
func (c *Config) lineEvent(dst, line []byte) (event []byte, id string, dated bool, err error) {
	var tenant string
	hasTenant := false
	d := lenient(line)
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return dst, "", false, fmt.Errorf("%w: it is not a JSON object", errBadRow)
	}
	for d.PeekKind() == '"' {
		t, err := d.ReadToken()
		if err != nil {
			return dst, "", false, badJSON(err)
		}
		name := t.String()
		v, err := d.ReadValue()
		if err != nil {
			return dst, "", false, badJSON(err)
		}
		switch name {
		case fieldEventID:
			id = unquoted(v)
		case fieldTenant:
			tenant = unquoted(v)
			hasTenant = hasTenant || v.Kind() != 'n'
		case fieldIngestedAt, fieldIngestionDate:
			dated = dated || v.Kind() != 'n'
			if c.snapshot {
				if err := c.notNewer(unquoted(v)); err != nil {
					return dst, "", false, err
				}
			}
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return dst, "", false, badJSON(err)
	}
	if len(bytes.TrimSpace(line[d.InputOffset():])) > 0 {
		return dst, "", false, fmt.Errorf("%w: text follows the JSON object", errBadRow)
	}
	if c.Tenant != "" && hasTenant && tenant != c.Tenant {
		return dst, "", false, fmt.Errorf("%w: it is of tenant %q, not of --tenant %s", errBadRow, shorten(tenant), c.Tenant)
	}

	addTenant, addTime := c.Tenant != "" && !hasTenant, c.ExportedAt != "" && (!dated || c.snapshot)
	if !addTenant && !addTime {
		return append(dst, line...), id, dated, nil
	}
	return c.complete(dst, line, addTenant, addTime), id, dated || addTime, nil
}

// complete copies the members of a checked object and adds the members of the load. It drops a null member that it
// replaces.
func (c *Config) complete(dst, line []byte, addTenant, addTime bool) []byte {
	d := lenient(line)
	_, _ = d.ReadToken() // the line was checked before
	dst = append(dst, '{')
	separate := func() {
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
	}
	for d.PeekKind() == '"' {
		name, _ := d.ReadValue()
		text := unquoted(name)
		quoted := string(name)
		v, _ := d.ReadValue()
		if v.Kind() == 'n' && addTenant && text == fieldTenant {
			continue
		}
		if addTime && (text == fieldIngestedAt || text == fieldIngestionDate) && (v.Kind() == 'n' || c.snapshot) {
			continue
		}
		separate()
		dst = append(dst, quoted...)
		dst = append(dst, ':')
		dst = append(dst, v...)
	}
	add := func(name, text string) {
		separate()
		dst, _ = jsontext.AppendQuote(dst, name)
		dst = append(dst, ':')
		dst, _ = jsontext.AppendQuote(dst, text)
	}
	if addTenant {
		add(fieldTenant, c.Tenant)
	}
	if addTime {
		add(fieldIngestedAt, c.ExportedAt)
	}
	return append(dst, '}')
}

// lenient options check only the syntax of JSON. Ingest names all other faults.
func lenient(line []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(line), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// unquoted returns the text of a JSON string; empty for any other value.
func unquoted(v jsontext.Value) string {
	if v.Kind() != '"' {
		return ""
	}
	text, _ := jsontext.AppendUnquote(nil, v)
	return string(text)
}

// badJSON is the error of a line that is not JSON.
func badJSON(err error) error {
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("%w: it is not JSON: byte %d: %w", errBadRow, e.ByteOffset+1, e.Err)
	}
	return fmt.Errorf("%w: it is not JSON: %w", errBadRow, err)
}

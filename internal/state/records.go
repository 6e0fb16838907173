package state

import (
	"bytes"
	"errors"
	"io"

	"daybook/internal/state/format"
)

// records calls f with each record with a key in [low, high), like scanRecords, but ascending by event id within an
// account-day. The order of keys differs in one respect: the UUIDs of an account-day come before its other ids. Where
// there are both, two cursors are merged.
func (v view) records(low, high []byte, f func(key, value []byte) error) (err error) {
	s := recordScan{f: f}
	defer func() { err = s.other.close(s.main.close(err)) }()
	if err := s.main.addRecords(v, low, high); err != nil {
		return err
	}
	if err := s.other.addRecords(v, low, high); err != nil {
		return err
	}
	for ok := s.main.first(); ok; ok = s.main.valid() {
		if err := s.accountDay(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
	if err := s.main.error(); err != nil {
		return err
	}
	return s.other.error()
}

// aheadBytes bounds how much of an account-day is read ahead to see whether it has ids of both kinds. A seek for
// the first id of the other kind costs as much as a hundred rows.
const aheadBytes = 256 << 10

// recordScan scans account-days. main is at the current row; other is used within an account-day that has ids of
// both kinds.
type recordScan struct {
	main, other cursor
	f           func(key, value []byte) error
	prefix      []byte
	ahead       []byte   // keys and values that were read ahead
	ends        [][2]int // where each key and each value in ahead ends
}

// accountDay calls f with the records of the account-day that main is at, and leaves main after it.
func (s *recordScan) accountDay() error {
	n, err := format.AccountDayPrefix(s.main.recordKey())
	if err != nil {
		return err
	}
	s.prefix = append(s.prefix[:0], s.main.recordKey()[:n]...)
	if s.isUUID() {
		whole, err := s.readAhead()
		if err != nil || whole {
			return err
		}
		s.main.seekRecord(s.prefix)
	}
	if !s.mixed() {
		for ok := true; ok && bytes.HasPrefix(s.main.recordKey(), s.prefix); ok = s.main.next() {
			if err := s.pass(&s.main); err != nil {
				return err
			}
		}
		return nil
	}
	uuids, others := &s.main, &s.other
	var a, b [36]byte
	for {
		isUUID := uuids.valid() && bytes.HasPrefix(uuids.recordKey(), s.prefix) && uuids.recordKey()[n] <= format.UUIDTag
		isOther := others.valid() && bytes.HasPrefix(others.recordKey(), s.prefix)
		if isUUID && isOther {
			x, _, errX := format.CutEventID(uuids.recordKey()[n:], &a)
			y, _, errY := format.CutEventID(others.recordKey()[n:], &b)
			if err := errors.Join(errX, errY); err != nil {
				return err
			}
			isUUID = bytes.Compare(x, y) < 0
		}
		switch {
		case isUUID:
			err = s.pass(uuids)
			uuids.next()
		case isOther:
			err = s.pass(others)
			others.next()
		default:
			// other has read the rows that main has not.
			s.main.seekRecord(format.PrefixEnd(s.prefix))
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readAhead calls f with the records of a small account-day whose ids are all UUIDs, and returns true. For others
// it calls nothing, and main is somewhere in the account-day.
func (s *recordScan) readAhead() (whole bool, err error) {
	s.ahead, s.ends = s.ahead[:0], s.ends[:0]
	for ok := true; ok && bytes.HasPrefix(s.main.recordKey(), s.prefix); ok = s.main.next() {
		if !s.isUUID() || len(s.ahead) > aheadBytes {
			return false, nil
		}
		value, err := s.main.value()
		if err != nil {
			return false, err
		}
		s.ahead = append(s.ahead, s.main.recordKey()...)
		key := len(s.ahead)
		s.ahead = append(s.ahead, value...)
		s.ends = append(s.ends, [2]int{key, len(s.ahead)})
	}
	at := 0
	for _, end := range s.ends {
		if err := s.f(s.ahead[at:end[0]], s.ahead[end[0]:end[1]]); err != nil {
			return true, err
		}
		at = end[1]
	}
	return true, nil
}

// isUUID reports whether main is at an event whose id is a UUID.
func (s *recordScan) isUUID() bool {
	n := len(s.prefix)
	return len(s.main.recordKey()) > n && s.main.recordKey()[n] <= format.UUIDTag
}

// mixed reports whether the account-day has UUIDs and other ids. If so, other is at the first of the other ids.
func (s *recordScan) mixed() bool {
	if !s.isUUID() {
		return false
	}
	at := append(s.prefix, format.UUIDTag+1)
	s.prefix = at[:len(at)-1]
	return s.other.seekRecord(at) && bytes.HasPrefix(s.other.recordKey(), s.prefix)
}

func (s *recordScan) pass(c *cursor) error {
	value, err := c.value()
	if err != nil {
		return err
	}
	return s.f(c.recordKey(), value)
}

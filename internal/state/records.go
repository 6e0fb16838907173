package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// records scans records from low up to high like view.scan, but ascending by
// event id within an account-day. Their keys are ascending but for one thing:
// an account-day's UUIDs come before its other ids. Where there are both, two
// iterators are merged.
func (v view) records(low, high []byte, f func(key, value []byte) error) (err error) {
	o := &pebble.IterOptions{LowerBound: low, UpperBound: high}
	s := recordScan{f: f}
	if s.main, err = v.r.NewIter(o); err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	defer func() { err = errors.Join(err, s.main.Close()) }()
	if s.other, err = v.r.NewIter(o); err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	defer func() { err = errors.Join(err, s.other.Close()) }()
	for ok := s.main.First(); ok && err == nil; ok = s.main.Valid() {
		err = s.accountDay()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err := errors.Join(err, s.main.Error(), s.other.Error()); err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	return nil
}

// recordScan walks account-days. main is where the scan is; other is used
// within an account-day that has ids of both kinds.
type recordScan struct {
	main, other *pebble.Iterator
	f           func(key, value []byte) error
	prefix      []byte
}

// accountDay passes on the account-day that main is at, and leaves main after it.
func (s *recordScan) accountDay() error {
	n, err := accountPrefix(s.main.Key())
	if err != nil {
		return err
	}
	s.prefix = append(s.prefix[:0], s.main.Key()[:n]...)
	if !s.mixed() {
		for ok := true; ok && bytes.HasPrefix(s.main.Key(), s.prefix); ok = s.main.Next() {
			if err := s.pass(s.main); err != nil {
				return err
			}
		}
		return nil
	}
	uuids, others := s.main, s.other
	var a, b [36]byte
	for {
		isUUID := uuids.Valid() && bytes.HasPrefix(uuids.Key(), s.prefix) && uuids.Key()[n] <= keyUUID
		isOther := others.Valid() && bytes.HasPrefix(others.Key(), s.prefix)
		if isUUID && isOther {
			x, _, errX := keyEvent(uuids.Key()[n:], &a)
			y, _, errY := keyEvent(others.Key()[n:], &b)
			if err := errors.Join(errX, errY); err != nil {
				return err
			}
			isUUID = bytes.Compare(x, y) < 0
		}
		switch {
		case isUUID:
			err = s.pass(uuids)
			uuids.Next()
		case isOther:
			err = s.pass(others)
			others.Next()
		default:
			// Both are through; what main has not passed, other has.
			s.main.SeekGE(after(s.prefix))
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// mixed reports whether the account-day has UUIDs and, after them, other ids;
// then other is at the first of these.
func (s *recordScan) mixed() bool {
	if n := len(s.prefix); len(s.main.Key()) <= n || s.main.Key()[n] > keyUUID {
		return false
	}
	at := append(s.prefix, keyUUID+1)
	s.prefix = at[:len(at)-1]
	return s.other.SeekGE(at) && bytes.HasPrefix(s.other.Key(), s.prefix)
}

func (s *recordScan) pass(it *pebble.Iterator) error {
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	return s.f(it.Key(), value)
}

package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"

	"daybook/internal/billing"
	"daybook/internal/dedup"
	"daybook/internal/state/engine"
	"daybook/internal/state/format"
)

// Reader reads one consistent state. It is safe for concurrent use. Close it. Errors that name damage wrap ErrDamaged.
type Reader struct {
	view
	id      Identity
	journal *format.Journal
	close   func() error
}

// Reader returns a reader of the store as of now. Close it before the store.
func (s *Store) Reader() (*Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return nil, errClosed
	}
	snapshot := s.db.NewSnapshot()
	return &Reader{view: view{snapshot}, id: s.mu.identity, journal: s.mu.journal, close: snapshot.Close}, nil
}

// OpenReader opens a checkpoint, or a state that no process has open, read-only and checked.
func OpenReader(dir string, o Options) (*Reader, error) {
	o = o.withDefaults()
	sub := filepath.Join(dir, o.Sub)
	lock, err := o.lock(sub)
	if err != nil {
		return nil, err
	}
	db, err := engine.OpenReadOnly(sub, lock, o.engine())
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	r := &Reader{view: view{db}, close: func() error { return errors.Join(db.Close(), lock.Close()) }}
	if r.id, r.journal, err = r.verify(); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// Close releases the reader.
func (r *Reader) Close() error { return r.close() }

// Identity names the log and the rules that the state belongs to.
func (r *Reader) Identity() Identity { return r.id }

// Head is the newest journal entry.
func (r *Reader) Head() Head { return r.journal.Head }

// DigestAt returns the journal digest at a sequence, if the state still has it. Those at which a checkpoint was
// taken are kept for good.
func (r *Reader) DigestAt(seq Sequence) (d Digest, found bool, err error) {
	if seq == r.journal.Head.Sequence {
		return r.journal.Head.Digest, true, nil
	}
	for _, space := range [...]byte{format.SpaceKeptDigest, format.SpaceJournal} {
		// A journal entry begins with its digest.
		found, err = r.get(format.SequenceKey(space, uint64(seq)), func(value []byte) error {
			if copy(d[:], value) < len(d) {
				return fmt.Errorf("%w: digest of write %d is cut", ErrDamaged, seq)
			}
			return nil
		})
		if found || err != nil {
			return d, found, err
		}
	}
	return d, false, nil
}

// Positions are all partitions, ascending.
func (r *Reader) Positions() ([]Position, error) { return r.positions() }

// Tenants are all tenants with an event, a marker or a quarantined record, ascending.
func (r *Reader) Tenants() (all []billing.TenantID, err error) {
	err = r.scanPrefix([]byte{format.SpaceTenant}, func(key, _ []byte) error {
		t, _, err := format.CutKeyString(key[1:])
		all = append(all, billing.TenantID(t))
		return err
	})
	return all, err
}

// errStop ends a scan early, without an error.
var errStop = io.EOF

// Markers yields a tenant's account-days in [from, to], ascending by day and account.
func (r *Reader) Markers(t billing.TenantID, from, to billing.Day) iter.Seq2[Marker, error] {
	return func(yield func(Marker, error) bool) {
		low := format.AppendDayPrefix(nil, format.SpaceMarker, t, from)
		high := format.PrefixEnd(format.AppendDayPrefix(nil, format.SpaceMarker, t, to))
		var m Marker
		started := false
		err := r.scan(low, high, func(key, value []byte) error {
			row, err := format.ParseMarker(key, value)
			if err != nil {
				return err
			}
			if a := &m.AccountDay; !started || a.Day != row.Day || string(a.Account) != string(row.Account) {
				if started && !yield(m, nil) {
					started = false
					return errStop
				}
				started = true
				m = Marker{AccountDay: billing.AccountDay{Tenant: t, Account: billing.AccountID(row.Account), Day: row.Day}}
			}
			m.AddRow(row)
			return nil
		})
		switch {
		case err != nil:
			yield(Marker{}, err)
		case started:
			yield(m, nil)
		}
	}
}

// Covered is what Store.SetCovered stored last, zero if nothing.
func (r *Reader) Covered(t billing.TenantID) (seq Sequence, err error) {
	_, err = r.get(format.TenantKey(format.SpaceCovered, t), func(value []byte) (err error) {
		seq, err = format.ParseCovered(value)
		return err
	})
	return seq, err
}

// Events yields the winners of a tenant's day for accounts in [from, to), ascending by
// account and event id; an empty to means no upper bound. The event is valid until the
// next step; its strings stay valid.
func (r *Reader) Events(t billing.TenantID, d billing.Day, from, to billing.AccountID) iter.Seq2[*billing.Event, error] {
	return func(yield func(*billing.Event, error) bool) {
		low, high, _ := recordRange(t, d, from, to)
		var e billing.Event
		var words format.Strings
		var prefix []byte // of the account-day's keys
		err := r.records(low, high, func(key, value []byte) error {
			if prefix == nil || !bytes.HasPrefix(key, prefix) {
				n, err := format.AccountDayPrefix(key)
				if err != nil {
					return err
				}
				if err := format.ParseRecord(key, value, &e, &words); err != nil {
					return err
				}
				prefix = append(prefix[:0], key[:n]...)
			} else if err := format.ParseRecordTail(key[len(prefix):], value, &e, &words); err != nil {
				return err
			}
			if !yield(&e, nil) {
				return errStop
			}
			return nil
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

// Winner returns the winner of one event, without its Digest, and whether there is one.
func (r *Reader) Winner(t billing.TenantID, id billing.EventID) (dedup.Winner, bool, error) {
	w, found, err := r.storedWinner(r.journal.Totals.Generation, t, id)
	w.winner.Digest = billing.Digest{} // it has a meaning in this process alone
	return w.winner, found, err
}

// Ties yields the ids of the tied winners of a tenant's day.
func (r *Reader) Ties(t billing.TenantID, d billing.Day) iter.Seq2[billing.EventID, error] {
	return func(yield func(billing.EventID, error) bool) {
		prefix := format.AppendDayPrefix(nil, format.SpaceTie, t, d)
		err := r.scanPrefix(prefix, func(key, _ []byte) error {
			var uuid [36]byte
			id, _, err := format.CutEventID(key[len(prefix):], &uuid)
			if err != nil {
				return err
			}
			if !yield(billing.EventID(id), nil) {
				return errStop
			}
			return nil
		})
		if err != nil {
			yield("", err)
		}
	}
}

// Quarantine yields all quarantined records in log order. Values are read only if withValues.
func (r *Reader) Quarantine(withValues bool) iter.Seq2[*Quarantined, error] {
	return func(yield func(*Quarantined, error) bool) {
		err := r.scanPrefix([]byte{format.SpaceQuarantine}, func(key, value []byte) error {
			q, err := format.ParseQuarantined(key, value)
			if err == nil && withValues {
				q, _, err = r.quarantined(q.Source, true)
			}
			if err != nil {
				return err
			}
			if !yield(q, nil) {
				return errStop
			}
			return nil
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

// QuarantinedRecord returns one quarantined record with its value, and whether it exists.
func (r *Reader) QuarantinedRecord(src billing.Source) (*Quarantined, bool, error) {
	return r.quarantined(src, true)
}

// Withheld yields the open quarantined records of a tenant that name an account-day, ascending by
// day and account, without values.
func (r *Reader) Withheld(t billing.TenantID) iter.Seq2[*Quarantined, error] {
	return func(yield func(*Quarantined, error) bool) {
		err := r.scanPrefix(format.TenantKey(format.SpaceByDay, t), func(key, _ []byte) error {
			q, err := r.indexed(key)
			if err != nil {
				return err
			}
			if !yield(q, nil) {
				return errStop
			}
			return nil
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

// indexed returns the quarantined record that an index key refers to.
func (v view) indexed(key []byte) (*Quarantined, error) {
	if len(key) < 15 {
		return nil, fmt.Errorf("%w: quarantine index key is cut", ErrDamaged)
	}
	p, offset, err := format.ParseSource(key[len(key)-14:])
	if err != nil {
		return nil, err
	}
	q, found, err := v.quarantined(billing.Source{Topic: p.Topic, Partition: p.Partition, Offset: offset}, false)
	if err == nil && !found {
		err = fmt.Errorf("%w: the quarantine index refers to a record that does not exist", ErrDamaged)
	}
	return q, err
}

// Decisions are all decisions, oldest first.
func (r *Reader) Decisions() ([]Decision, error) { return r.decisions() }

package state

import "daybook/internal/clock"

// WithdrawDoubtful removes the stored evidence that does not count by the clock of now, in one write. It returns
// the partitions and the doubts; without any, nothing is written.
func (s *Store) WithdrawDoubtful(now clock.Reading) (map[PartitionID]Doubt, error) {
	r, err := s.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	positions, err := r.Positions()
	if err != nil {
		return nil, err
	}
	doubts := map[PartitionID]Doubt{}
	b := &Batch{}
	for i := range positions {
		if _, doubt := positions[i].CaughtUpBy(now); doubt != "" {
			doubts[positions[i].Partition] = doubt
			b.CaughtUp = append(b.CaughtUp, CaughtUp{Partition: positions[i].Partition})
		}
	}
	if len(doubts) == 0 {
		return nil, nil
	}
	_, err = s.Apply(b)
	return doubts, err
}

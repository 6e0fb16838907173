package produce

// arenaBytes is the size of a block. A block is kept as long as any record in
// it is in flight.
const arenaBytes = 256 << 10

// arena makes lasting copies of short-lived bytes, many to one allocation.
type arena struct{ free []byte }

// copy is a lasting copy of b; of nothing it is nil.
func (a *arena) copy(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	if len(b) > len(a.free) {
		a.free = make([]byte, max(arenaBytes, len(b)))
	}
	n := copy(a.free, b)
	kept := a.free[:n:n]
	a.free = a.free[n:]
	return kept
}

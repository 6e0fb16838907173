package produce

// arenaBytes is the size of a block. A block stays in memory as long as any record in it is in flight.
const arenaBytes = 256 << 10

// arena copies short-lived bytes into large blocks, so that many copies share one allocation.
type arena struct{ free []byte }

// copy returns a copy of b; nil for an empty b.
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

package state

// delivered is a batch whose records are not packed yet.
type delivered struct {
	Records  []Record
	Advances []Advance
	CaughtUp []CaughtUp
}

func (d *delivered) batch() *Batch {
	b := &Batch{Advances: d.Advances, CaughtUp: d.CaughtUp}
	b.Add(d.Records...)
	return b
}

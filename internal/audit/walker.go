package audit

import "iter"

// walker is a sequence with its head to look at.
type walker[T any] struct {
	head T
	more bool
	pull func() (T, error, bool)
	stop func()
}

func walk[T any](seq iter.Seq2[T, error]) *walker[T] {
	w := &walker[T]{}
	w.pull, w.stop = iter.Pull2(seq)
	return w
}

// advance moves on to the next; more says whether there is one.
func (w *walker[T]) advance() (err error) {
	w.head, err, w.more = w.pull()
	if err != nil {
		w.more = false
	}
	return err
}

package audit

import "iter"

// cursor iterates over a sequence and exposes its current element.
type cursor[T any] struct {
	head T
	more bool
	pull func() (T, error, bool)
	stop func()
}

func walk[T any](seq iter.Seq2[T, error]) *cursor[T] {
	w := &cursor[T]{}
	w.pull, w.stop = iter.Pull2(seq)
	return w
}

// advance moves to the next element; more reports whether there is one.
func (w *cursor[T]) advance() (err error) {
	w.head, err, w.more = w.pull()
	if err != nil {
		w.more = false
	}
	return err
}

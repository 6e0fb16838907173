// Package delivery remembers which event ids each source of a topic last
// delivered, so that a delivery that replaces an earlier one can tell which of
// them are gone.
//
// It owns the index on disk (docs/deliveries.md draws it), which loads of a
// period are refused, and the comparison of a load with the index. It reads
// no files of a provider and pushes nothing: produce does.
//
// An Index is used by one goroutine; a lock keeps other processes away. Memory
// is bounded whatever the number of ids: they are sorted in runs on disk and
// compared by merging sorted files.
//
// Durability: index.json names all other files and is replaced by
// tmp–fsync–rename, so that a crash leaves the index as it was before or after a
// load. What a load is about to push is noted before the first record is, and
// counts as held until the load, or a later one, has finished.
//
// Every record of a load carries a Mark with the load's id. The index keeps, for
// each partition, the offset up to which it knows every load of its source, and
// the ids of its latest loads. So a caller that reads the marks from there to the
// end of the topic (CheckMark, SetNextOffsets) knows that the index is the newest:
// not an empty directory, an older copy, or one of two that load the source.
package delivery

import (
	"errors"
)

// Errors of this package.
var (
	ErrLocked  = errors.New("deliveries are locked")    // another load of the source is at work
	ErrRefused = errors.New("the load is refused")      // it would count something twice, or lose much
	ErrDamaged = errors.New("index of ids is damaged")  // a file is missing, cut short or altered
	ErrTopic   = errors.New("topic was recreated")      // the index belongs to a deleted topic of the same name
	ErrFormat  = errors.New("index of another version") // written by another version of Daybook
	ErrSource  = errors.New("not the name of a source") // see ValidSource
	ErrStale   = errors.New("index is not the newest")  // the topic has a load that it does not know
)

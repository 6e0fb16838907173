// Package delivery records which event ids each source of a topic has delivered, so that a delivery that replaces an
// earlier one can delete the ids that it does not have.
//
// It owns the index on disk (docs/deliveries.md), the refusal of loads that would count twice, and the comparison of a
// load with the index. It does not read provider files or push records; produce does.
//
// An Index is for one goroutine. A lock excludes other processes. Memory is bounded for any number of ids: they are
// sorted in runs on disk and compared by merging sorted files.
//
// Durability: index.json names all other files and is replaced atomically, so a crash leaves the index as it was
// before or after a load. The ids of a load are recorded before its first record is pushed, and count as delivered
// until this load or a later one has finished.
//
// Every record of a load carries a Mark with the load's id. The index keeps, for each partition, the offset up to
// which it knows every load of its source, and the ids of its latest loads. A caller that reads the marks from
// there to the end of the topic (CheckMark, SetNextOffsets) proves that the index is the newest, and not an empty
// directory, an older copy, or one of two directories of the source.
package delivery

import (
	"errors"
)

// Errors of this package.
var (
	ErrLocked  = errors.New("deliveries are locked")    // another load of the source is running
	ErrRefused = errors.New("the load is refused")      // it would count something twice, or lose much
	ErrDamaged = errors.New("index of ids is damaged")  // a file is missing, truncated or altered
	ErrTopic   = errors.New("topic was recreated")      // the index belongs to a deleted topic of the same name
	ErrFormat  = errors.New("index of another version") // written by another version of Daybook
	ErrSource  = errors.New("not the name of a source") // see ValidSource
	ErrStale   = errors.New("index is not the newest")  // the topic has a load that it does not know
)

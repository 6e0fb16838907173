// Package extsort sorts rows by their keys, as bytes, in bounded memory. A row is a key and a value.
//
// Rows collects rows in memory and sorts them there. A Sorter adds files: whenever its memory is full, it writes
// the rows as a sorted run, and a Merger reads many runs as one. Programs that want sorted rows and nothing else
// use Sorter.Add and Sorter.Sorted.
//
// It owns the order of rows, the bytes of runs, and how much memory all of that takes. It does not know what keys and
// values mean, it has no file system (a Sorter asks its owner for a file), and it starts no goroutines.
//
// Techniques: rows in memory are sorted by a radix sort on eight bytes of the keys at a time (McIlroy, Bostic,
// McIlroy: Engineering Radix Sort, 1993), so that a byte of a key is looked at once; runs are front-coded, which
// means that a key does not repeat what it has in common with the one before; and runs are merged by a loser tree
// with offset-value codes (Knuth, The Art of Computer Programming, vol. 3, 5.4.1; Conner: Offset Value Coding,
// 1977; Graefe and Do: Offset-value coding in database query processing, 2023), so that keys are rarely compared.
//
// Order: ascending by key as bytes. The order of rows with equal keys is not defined.
//
// Memory: a Sorter keeps at most Options.Memory bytes of rows and of what sorting them takes, or one row if that is
// larger. While it writes a run it takes 256 KiB more. A Merger takes the memory that it is given, but at least 16
// KiB a run, and at most 256 KiB a run and 3 MiB in all beyond that. Rows alone have no bound.
//
// Durability: none. Runs are scratch; they are neither synced nor read by another process. Sorter.Close closes the
// file, and a file without a name, as TempFile makes it, is gone with it, or with the process.
//
// Concurrency: Rows, Sorter and Merger are each for one goroutine at a time. Runs may be read by several Mergers at
// once. Groups of one Rows.Split may be sorted at once.
//
// Errors: those of the file, wrapped, and ErrDamaged. After an error a Sorter or Merger is to be closed or dropped.
package extsort

import "errors"

// ErrDamaged: a run does not hold what was written to it. It says so of what cannot be rows in ascending order; a
// run has no checksum, and owners that must know compare what went in with what came out.
var ErrDamaged = errors.New("run of a sort is damaged")

// MaxKeyBytes is the longest key that can be in a run.
const MaxKeyBytes = ovcUnits * ovcUnitBytes

// Package billing is the vocabulary of Daybook: identifiers, the event and the version that orders it, the calendar
// day, exact money, and the verdicts on a record.
//
// It owns what these mean and how they are written as text. It does not own bytes on a wire or on disk (decode,
// state and lake do), and it reads no clock and no file. All types are values, safe for concurrent use. It imports
// only the standard library, so that every other package can import it.
package billing

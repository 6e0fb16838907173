// Package billing holds the words of Daybook: the identifiers, the event and
// the version that orders it, the calendar day, exact money, and the verdicts
// on a record.
//
// It owns what the words mean and how they are spelled as text. It does not
// own bytes on a wire or on disk (decode, state and lake do), and it reads no
// clock and no file. All types are values, safe for concurrent use. It imports
// the standard library only, so that every other package may import it.
package billing

package ingest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Errors that stop ingest: going on would lose input, or mix two inputs, unseen.
// They are wrapped in a Stop, which says where.
var (
	// ErrOtherCluster: the brokers are of another cluster than the state.
	ErrOtherCluster = errors.New("another cluster")
	// ErrTopicRecreated: a topic of that name is there, but not the one the state consumed.
	ErrTopicRecreated = errors.New("topic was recreated")
	// ErrLogTrimmed: the log begins after the offset to read next, or, on first sight, after 0.
	ErrLogTrimmed = errors.New("log was trimmed")
	// ErrLogTruncated: the log ends before the offset to read next, or what was read was replaced.
	ErrLogTruncated = errors.New("log was truncated")
	// ErrPartitionGone: a partition the state consumed is not there any more.
	ErrPartitionGone = errors.New("partition is gone")
	// ErrLogDamaged: a batch cannot be read, or records are missing in the middle.
	ErrLogDamaged = errors.New("log is damaged")
	// ErrBatchTooLarge: a batch decompresses to more than the bound.
	ErrBatchTooLarge = errors.New("batch is too large")
	// ErrOtherTopics: the topics asked for are not those of the state.
	ErrOtherTopics = errors.New("state of other topics")
	// ErrRulesChanged: the rules asked for are not those of the state.
	ErrRulesChanged = errors.New("rules have changed")
	// ErrBehind: until caught up was asked for, and nothing moved for too long.
	ErrBehind = errors.New("not caught up")
)

// Stop says what stopped ingest, where, and what to do.
type Stop struct {
	Topic     string
	Partition int32 // -1: the topic as a whole
	Cause     error // one of the package's errors
	Detail    string
	Remedy    string
}

// Error is one line: where, what, and the remedy.
func (s *Stop) Error() string {
	where := ""
	switch {
	case s.Topic == "":
	case s.Partition < 0:
		where = fmt.Sprintf("topic %s: ", s.Topic)
	default:
		where = fmt.Sprintf("topic %s partition %d: ", s.Topic, s.Partition)
	}
	return where + s.Cause.Error() + " (" + s.Detail + "): " + s.Remedy
}

// Unwrap is the cause.
func (s *Stop) Unwrap() error { return s.Cause }

// unreadable are the beginnings of what the client says of a batch that it cannot
// read. It gives them no type. After some of them it goes on behind the batch.
var unreadable = []string{
	"encoded crc ", "encoded length ", "invalid record batch", "length ", "unable to decompress batch",
	"unable to read ", "unknown batch magic ", "unknown magic ",
}

// isUnreadable tells a batch that cannot be read from brokers that cannot be reached.
func isUnreadable(err error) bool {
	return slices.ContainsFunc(unreadable, func(s string) bool { return strings.HasPrefix(err.Error(), s) })
}

package ingest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Errors that stop ingest, because to continue would silently lose input or mix two inputs. A Stop wraps them and
// has the position.
var (
	// ErrOtherCluster: the brokers are of another cluster than the state.
	ErrOtherCluster = errors.New("another cluster")
	// ErrTopicRecreated: the topic was deleted and recreated (its topic ID changed).
	ErrTopicRecreated = errors.New("topic was recreated")
	// ErrLogTrimmed: the log starts after the next offset, or after 0 for a new partition.
	ErrLogTrimmed = errors.New("log was trimmed")
	// ErrLogTruncated: the log ends before the next offset, or consumed records were replaced.
	ErrLogTruncated = errors.New("log was truncated")
	// ErrPartitionGone: a consumed partition no longer exists.
	ErrPartitionGone = errors.New("partition is gone")
	// ErrLogDamaged: a batch cannot be read, or records are missing in the middle.
	ErrLogDamaged = errors.New("log is damaged")
	// ErrBatchTooLarge: a batch decompresses to more than the bound.
	ErrBatchTooLarge = errors.New("batch is too large")
	// ErrOtherTopics: the configured topics are not those of the state.
	ErrOtherTopics = errors.New("state of other topics")
	// ErrRulesChanged: the configured rules are not those of the state.
	ErrRulesChanged = errors.New("rules have changed")
	// ErrBehind: a run until caught up made no progress for the idle timeout.
	ErrBehind = errors.New("not caught up")
)

// Stop is the error that stops ingest, with its position and remedy.
type Stop struct {
	Topic     string
	Partition int32 // -1: the topic as a whole
	Cause     error // one of the package's errors
	Detail    string
	Remedy    string
}

// Error returns one line: position, cause, remedy.
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

// Unwrap returns the cause.
func (s *Stop) Unwrap() error { return s.Cause }

// unreadable has the prefixes of the client's errors about a batch that it cannot read. They have no type. After
// some of them the client continues after the batch.
var unreadable = []string{
	"encoded crc ", "encoded length ", "invalid record batch", "length ", "unable to decompress batch",
	"unable to read ", "unknown batch magic ", "unknown magic ",
}

// isUnreadable distinguishes an unreadable batch from unreachable brokers.
func isUnreadable(err error) bool {
	return slices.ContainsFunc(unreadable, func(s string) bool { return strings.HasPrefix(err.Error(), s) })
}

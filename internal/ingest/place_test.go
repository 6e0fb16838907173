package ingest

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"daybook/internal/clock"
	"daybook/internal/state"
)

func TestPlace(t *testing.T) {
	topic := state.Topic{Name: "billing"}
	id := state.PartitionID{Partition: 3}
	f := func(name string, pos *state.Position, b bounds, wantGap *[2]int64, wantErr error) {
		t.Helper()
		gp, err := checkPosition(topic, id, pos, b)
		if !errors.Is(err, wantErr) || (wantErr == nil) != (err == nil) {
			t.Errorf("%s: error %v, want %v", name, err, wantErr)
		}
		switch {
		case wantGap == nil && gp != nil:
			t.Errorf("%s: gap %d to %d, want none", name, gp.From, gp.Next)
		case wantGap != nil && (gp == nil || gp.From != wantGap[0] || gp.Next != wantGap[1]):
			t.Errorf("%s: gap %+v, want %v", name, gp, *wantGap)
		}
	}
	at := func(next int64) *state.Position { return &state.Position{NextOffset: next} }
	f("first sight of a whole log", nil, bounds{Start: 0, End: 9}, nil, nil)
	f("first sight of an empty log", nil, bounds{}, nil, nil)
	f("first sight of a trimmed log", nil, bounds{Start: 4, End: 9}, &[2]int64{0, 4}, nil)
	f("first sight of a log that was emptied", nil, bounds{Start: 9, End: 9}, &[2]int64{0, 9}, nil)
	f("in the middle", at(5), bounds{Start: 0, End: 9}, nil, nil)
	f("at the start", at(4), bounds{Start: 4, End: 9}, nil, nil)
	f("at the end", at(9), bounds{Start: 9, End: 9}, nil, nil)
	f("before the start", at(3), bounds{Start: 4, End: 9}, &[2]int64{3, 4}, nil)
	f("beyond the end", at(10), bounds{Start: 4, End: 9}, nil, ErrLogTruncated)
	f("in a recreated log", at(10), bounds{}, nil, ErrLogTruncated)
}

func TestSameInput(t *testing.T) {
	id := state.Identity{Cluster: "c1", Topics: []state.Topic{{Name: "a", ID: "01"}, {Name: "b"}}}
	ok := &listing{Cluster: "c1", TopicIDs: map[string]string{"a": "01", "b": "77"}}
	if err := sameInput(id, ok); err != nil {
		t.Errorf("the same input: %v", err)
	}
	if err := sameInput(id, &listing{Cluster: "c2", TopicIDs: ok.TopicIDs}); !errors.Is(err, ErrOtherCluster) {
		t.Errorf("another cluster: %v", err)
	}
	if err := sameInput(id, &listing{Cluster: "c1", TopicIDs: map[string]string{"a": "02"}}); !errors.Is(err, ErrTopicRecreated) {
		t.Errorf("a recreated topic: %v", err)
	}
}

func TestStopNamesPlaceCauseAndRemedy(t *testing.T) {
	gp := &gap{topic: state.Topic{Name: "billing"}, partition: state.PartitionID{Partition: 3}, From: 10, Next: 50}
	got := gp.stop().Error()
	for _, want := range []string{"topic billing partition 3", "offsets 10 to 49 are gone", "--accept-gap"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
	if strings.Contains(got, "\n") {
		t.Errorf("%q is more than one line", got)
	}
}

func TestEvidence(t *testing.T) {
	id := state.PartitionID{}
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	round := func(e *caughtUpTracker, s, end int64) {
		e.add(&listing{At: clock.Reading{Wall: at(s)}, Partitions: map[state.PartitionID]bounds{id: {End: end}}})
	}
	e := newCaughtUpTracker()
	if _, ok := e.kept(id, 100); ok {
		t.Error("no listing is no evidence")
	}
	round(e, 1, 10)
	if _, ok := e.kept(id, 9); ok {
		t.Error("one record is missing, and yet caught up")
	}
	round(e, 2, 20)
	round(e, 3, 30) // takes the place of the second: the first must stay
	if c, ok := e.kept(id, 10); !ok || !c.At.Equal(at(1)) {
		t.Errorf("at the first end: %v %v, want the first listing's time", c, ok)
	}
	if _, ok := e.kept(id, 29); ok {
		t.Error("the second listing was replaced, and yet counts")
	}
	if c, ok := e.kept(id, 30); !ok || !c.At.Equal(at(3)) {
		t.Errorf("at the newest end: %v %v, want its time", c, ok)
	}
	if _, ok := e.kept(id, 1000); ok {
		t.Error("evidence counts once")
	}
	round(e, 4, 30)
	round(e, 5, 30)
	if c, _ := e.kept(id, 30); !c.At.Equal(at(5)) {
		t.Errorf("both kept at once: %v, want the newer", c.At)
	}
}

func TestAdvice(t *testing.T) {
	f := func(settings map[string]string, want ...string) {
		t.Helper()
		var got []string
		for _, a := range adviceOn(settings) {
			got = append(got, a.setting)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v: %v, want %v", settings, got, want)
		}
	}
	f(map[string]string{settingCleanup: "delete", settingRetentionTime: "-1", settingRetentionBytes: "-1", settingTimestampType: "LogAppendTime"})
	f(map[string]string{settingCleanup: "delete", settingRetentionTime: "604800000", settingRetentionBytes: "-1"}, settingRetentionTime)
	f(map[string]string{settingCleanup: "compact", settingRetentionTime: "604800000"}, settingCleanup)
	f(map[string]string{settingCleanup: "compact,delete", settingRetentionBytes: "5"}, settingCleanup, settingRetentionBytes)
	f(map[string]string{settingTimestampType: "CreateTime", settingTimestampAhead: "9223372036854775807"}, settingTimestampType)
	f(map[string]string{settingTimestampType: "CreateTime", settingTimestampAhead: "3600000"})
	f(map[string]string{settingTimestampType: "CreateTime", settingTimestampDiff: "86400000"})
	f(map[string]string{settingTimestampType: "CreateTime", settingTimestampDiff: "86400000abc"}, settingTimestampType)
	f(map[string]string{settingTimestampType: "CreateTime", settingTimestampDiff: "-1"}, settingTimestampType)
	f(map[string]string{})
}

package audit

import (
	"fmt"
	"slices"
	"time"

	"daybook/internal/billing"
	"daybook/internal/lake"
)

// The kinds of decision that an audit applies, as manifests name them.
const (
	gapAccepted       = "gap_accepted"
	quarantineSettled = "quarantine_resolved"
)

// Input is the part of a log that is the input of a release.
type Input struct {
	Cluster string
	Spans   []Span
}

// Span is the records of one partition from From up to, but not including, Next. Offsets in Gaps are skipped, even if
// their records exist.
type Span struct {
	Topic      lake.Topic
	Partition  int32
	From, Next int64
	Gaps       []lake.Gap
}

// skips reports whether the record at an offset is skipped.
func (s *Span) skips(offset int64) bool {
	return offset < s.From || offset >= s.Next ||
		slices.ContainsFunc(s.Gaps, func(g lake.Gap) bool { return g.FromOffset <= offset && offset < g.NextOffset })
}

// begin is the first required offset, or Next if there is none.
func (s *Span) begin() int64 {
	at := s.From
	for again := true; again; {
		again = false
		for _, g := range s.Gaps {
			if g.FromOffset <= at && at < g.NextOffset {
				at, again = g.NextOffset, true
			}
		}
	}
	return min(at, s.Next)
}

// offsets is the number of offsets of the span outside its gaps.
func (s *Span) offsets() int64 {
	n := s.Next - s.From
	for _, g := range s.Gaps {
		n -= max(0, min(g.NextOffset, s.Next)-max(g.FromOffset, s.From))
	}
	return n
}

// basis is the input, the rules and the decisions of a release, from its manifest. All days of a release have the same
// basis.
type basis struct {
	m       *lake.Manifest
	input   Input
	settled map[billing.Source]bool // records, without their timestamps
	covers  func(day string) bool   // whether the release must have the day
	cutoff  time.Duration
}

// basisOf returns the basis of a release. The release must have the days that its manifest lists, and those whose
// cutoff had passed at its as-of. A rollback has the days of its target.
func basisOf(s *lake.Series, m *lake.Manifest) (*basis, error) {
	listed := make(map[string]bool, len(m.Days))
	for i := range m.Days {
		listed[m.Days[i].Day.String()] = true
	}
	content := m
	for content.RolledBackTo != 0 {
		var err error
		if content, err = s.Manifest(content.RolledBackTo); err != nil {
			return nil, fmt.Errorf("read the release that was rolled back to: %w", err)
		}
	}
	cutoff, err := timeOfDay(content)
	if err != nil {
		return nil, err
	}
	last := content.AsOf.UTC().Add(-cutoff).AddDate(0, 0, -1).Format(time.DateOnly)
	return newBasis(m, func(day string) bool { return listed[day] || day <= last })
}

// timeOfDay is the cutoff of a manifest as the time since midnight.
func timeOfDay(m *lake.Manifest) (time.Duration, error) {
	at, err := time.Parse("15:04", m.Cutoff)
	if err != nil {
		return 0, fmt.Errorf("manifest of release %d: cutoff %q: %w", m.Release, m.Cutoff, lake.ErrDamaged)
	}
	return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute, nil
}

// newBasis returns the basis of a manifest.
func newBasis(m *lake.Manifest, covers func(day string) bool) (*basis, error) {
	if m.Rules == nil || len(m.Topics) == 0 {
		return nil, fmt.Errorf("release %d: %w: it was made by an older Daybook; audit a newer one", m.Release, ErrNoBasis)
	}
	b := &basis{m: m, covers: covers, settled: map[billing.Source]bool{}, input: Input{Cluster: m.Cluster}}
	var err error
	if b.cutoff, err = timeOfDay(m); err != nil {
		return nil, err
	}
	topics := map[string]lake.Topic{}
	for _, t := range m.Topics {
		topics[t.Name] = t
	}
	for _, p := range m.Input {
		t, ok := topics[p.Topic]
		if !ok {
			return nil, fmt.Errorf("manifest of release %d: topic %q has a position and no place: %w", m.Release, p.Topic, lake.ErrDamaged)
		}
		if t.Elsewhere {
			continue // the topic cannot have events of this tenant
		}
		span := Span{Topic: t, Partition: p.Partition, From: p.FirstOffset, Next: p.NextOffset}
		for i := range m.Decisions {
			if g := m.Decisions[i].Gap; g != nil && g.Topic == p.Topic && g.Partition == p.Partition {
				span.Gaps = append(span.Gaps, *g)
			}
		}
		b.input.Spans = append(b.input.Spans, span)
	}
	for i := range m.Decisions {
		for _, s := range m.Decisions[i].Settled {
			for _, offset := range s.Offsets {
				b.settled[billing.Source{Topic: topics[s.Topic].Ordinal, Partition: s.Partition, Offset: offset}] = true
			}
		}
	}
	return b, nil
}

// judge returns the judge that applies the rules of this basis.
func (b *basis) judge() *judge {
	j := &judge{rules: *b.m.Rules, bound: map[billing.TopicOrdinal]string{}}
	for _, t := range b.m.Topics {
		j.bound[t.Ordinal] = string(j.rules.Bindings[t.Name])
	}
	return j
}

// complete reports whether the account-days of a day may be complete: no accepted gap may have had events of the
// day, and every partition that may have events of the tenant had been read up to the cutoff of the day.
func (b *basis) complete(day string) bool {
	for i := range b.m.Decisions {
		d := &b.m.Decisions[i]
		if d.Kind == gapAccepted && (d.FromDay == "" || d.FromDay <= day) && (d.ToDay == "" || day <= d.ToDay) {
			return false
		}
	}
	start, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return false
	}
	cutoff := start.AddDate(0, 0, 1).Add(b.cutoff)
	for _, t := range b.m.Topics {
		read := t.Elsewhere
		for _, p := range b.m.Input {
			if p.Topic == t.Name && !t.Elsewhere {
				if read = true; p.CaughtUpAt.Before(cutoff) {
					return false
				}
			}
		}
		if !read {
			return false
		}
	}
	return true
}

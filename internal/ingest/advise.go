package ingest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/billing"
)

// The settings of a topic that a warning may name.
const (
	settingRetentionTime  = "retention.ms"
	settingRetentionBytes = "retention.bytes"
	settingCleanup        = "cleanup.policy"
	settingTimestampType  = "message.timestamp.type"
	settingTimestampAhead = "message.timestamp.after.max.ms"
	settingTimestampDiff  = "message.timestamp.difference.max.ms" // brokers before 3.6
)

// timestampBound is the largest bound on a producer's timestamp that keeps the
// rules' own bounds meaningful.
const timestampBound = 24 * time.Hour

// adviseTopics reads the topics' settings and warns of those that endanger the
// books: what the broker deletes cannot be rebuilt from, and timestamps that
// producers set freely undo the rules' bounds.
func (g *Ingester) adviseTopics(ctx context.Context, admin *kgo.Client) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	names := make([]string, len(g.identity.Topics))
	for i, t := range g.identity.Topics {
		names[i] = t.Name
	}
	described, err := kadm.NewClient(admin).DescribeTopicConfigs(ctx, names...)
	if err != nil {
		g.rare.warn("the topics' settings cannot be read, so they are not checked", "cause", g.cfg.Kafka.Explain("the topics' settings", err))
		return
	}
	var warnings []string
	compacted := map[billing.TopicOrdinal]bool{}
	for _, t := range g.identity.Topics {
		c, err := described.On(t.Name, nil)
		if err == nil {
			err = c.Err
		}
		if err != nil {
			g.rare.warn("a topic's settings cannot be read, so they are not checked", "topic", t.Name, "cause", err)
			continue
		}
		settings := map[string]string{}
		for _, kv := range c.Configs {
			settings[kv.Key] = kv.MaybeValue()
		}
		compacted[t.Ordinal] = strings.Contains(settings[settingCleanup], "compact")
		for _, a := range advice(settings) {
			warnings = append(warnings, fmt.Sprintf("topic %s: %s=%s: %s", t.Name, a.setting, settings[a.setting], a.text))
			g.metrics.warnings.WithLabelValues(t.Name, a.setting).Set(1)
			g.deps.Log.Warn("a topic's setting endangers the books", "topic", t.Name, "setting", a.setting, "value", settings[a.setting], "because", a.text)
		}
	}
	g.board.setCompacted(compacted)
	g.board.setWarnings(warnings)
}

// adviceOn is what is to be said of one setting.
type adviceOn struct{ setting, text string }

// advice judges one topic's settings. Those that the broker does not tell are left alone.
func advice(s map[string]string) []adviceOn {
	var all []adviceOn
	if strings.Contains(s[settingCleanup], "compact") {
		all = append(all, adviceOn{settingCleanup, "compaction removes versions of events; a rebuild sees only what is left"})
	}
	if deletes := s[settingCleanup] == "" || strings.Contains(s[settingCleanup], "delete"); deletes {
		if v := s[settingRetentionTime]; v != "" && v != "-1" {
			all = append(all, adviceOn{settingRetentionTime, "records older than that are deleted and cannot be rebuilt from; set -1"})
		}
		if v := s[settingRetentionBytes]; v != "" && v != "-1" {
			all = append(all, adviceOn{settingRetentionBytes, "records beyond that are deleted and cannot be rebuilt from; set -1"})
		}
	}
	if s[settingTimestampType] == "CreateTime" && !bounded(s[settingTimestampAhead]) && !bounded(s[settingTimestampDiff]) {
		all = append(all, adviceOn{settingTimestampType,
			"producers set the timestamps that the bounds on ingested_at and usage_date rest on; set LogAppendTime, or message.timestamp.after.max.ms to a day or less"})
	}
	return all
}

// bounded reports whether a bound in milliseconds is a day or less.
func bounded(ms string) bool {
	var n int64
	if _, err := fmt.Sscanf(ms, "%d", &n); err != nil {
		return false
	}
	return n >= 0 && n <= timestampBound.Milliseconds()
}

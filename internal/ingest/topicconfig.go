package ingest

import (
	"context"
	"fmt"
	"strconv"
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

// timestampBound is the largest bound on producers' timestamps with which the bounds of the rules are effective: they
// are a day themselves, or more.
const timestampBound = 24 * time.Hour

// adviseTopics reads the settings of the topics and warns of unsafe ones: a rebuild needs the records that a broker
// deletes, and timestamps that producers set freely make the bounds of the rules ineffective.
func (g *Ingester) adviseTopics(ctx context.Context, admin *kgo.Client) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	names := make([]string, len(g.identity.Topics))
	for i, t := range g.identity.Topics {
		names[i] = t.Name
	}
	described, err := kadm.NewClient(admin).DescribeTopicConfigs(ctx, names...)
	if err != nil {
		g.throttled.warn("failed to read topic settings; they are not checked", "err", g.cfg.Kafka.Explain("the topics' settings", err))
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
			g.throttled.warn("failed to read topic settings; they are not checked", "topic", t.Name, "err", err)
			continue
		}
		settings := map[string]string{}
		for _, kv := range c.Configs {
			settings[kv.Key] = kv.MaybeValue()
		}
		compacted[t.Ordinal] = strings.Contains(settings[settingCleanup], "compact")
		for _, a := range adviceOn(settings) {
			warnings = append(warnings, a.warning(t.Name, settings[a.setting]))
			g.metrics.warnings.WithLabelValues(t.Name, a.setting).Set(1)
			g.deps.Log.Warn("unsafe topic setting", "topic", t.Name, "setting", a.setting, "value", settings[a.setting], "recommended", a.recommended, "reason", a.reason)
		}
	}
	g.tracker.setCompacted(compacted)
	g.tracker.setWarnings(warnings)
}

// advice is about one unsafe setting.
type advice struct{ setting, recommended, reason string }

// warning is the advice as one line for a topic whose setting has a value.
func (a *advice) warning(topic, value string) string {
	return fmt.Sprintf("topic %s: unsafe topic setting: %s=%s; recommended %s: %s", topic, a.setting, value, a.recommended, a.reason)
}

// adviceOn returns the advice on the settings of one topic. A setting that the broker does not report is skipped.
func adviceOn(s map[string]string) []advice {
	var all []advice
	if strings.Contains(s[settingCleanup], "compact") {
		all = append(all, advice{settingCleanup, "delete", "compaction removes versions of events, and a rebuild sees only those that are left"})
	}
	if deletes := s[settingCleanup] == "" || strings.Contains(s[settingCleanup], "delete"); deletes {
		if v := s[settingRetentionTime]; v != "" && v != "-1" {
			all = append(all, advice{settingRetentionTime, "-1", "older records are deleted, and a rebuild needs them"})
		}
		if v := s[settingRetentionBytes]; v != "" && v != "-1" {
			all = append(all, advice{settingRetentionBytes, "-1", "records beyond this size are deleted, and a rebuild needs them"})
		}
	}
	if s[settingTimestampType] == "CreateTime" && !bounded(s[settingTimestampAhead]) && !bounded(s[settingTimestampDiff]) {
		all = append(all, advice{settingTimestampType, "LogAppendTime",
			"the bounds on ingested_at and usage_date compare with timestamps that producers set; message.timestamp.after.max.ms of a day or less will do, too"})
	}
	return all
}

// bounded reports whether a bound in milliseconds is a day or less.
func bounded(ms string) bool {
	n, err := strconv.ParseInt(ms, 10, 64)
	return err == nil && n >= 0 && n <= timestampBound.Milliseconds()
}

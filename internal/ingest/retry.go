package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"daybook/internal/billing"
	"daybook/internal/decode"
	"daybook/internal/state"
	"daybook/internal/statedir"
)

// Retry applies looser rules to the quarantined records of the state in dir, in one journalled write, and adopts
// the rules. No ingest may run.
func Retry(dir string, rules RulesConfig, who, why string, deps Deps) (applied state.Applied, err error) {
	deps = deps.withDefaults()
	store, err := statedir.OpenStopped(dir, deps.State)
	if err != nil {
		return applied, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	r, err := store.Reader()
	if err != nil {
		return applied, err
	}
	id := r.Identity()
	if err := r.Close(); err != nil {
		return applied, err
	}
	adopted, err := rules.Over(id.Rules)
	if err != nil {
		return applied, err
	}
	d := decode.New(adopted)
	topics := map[billing.TopicOrdinal]string{}
	for _, t := range id.Topics {
		topics[t.Ordinal] = t.Name
	}
	decision := state.Decision{Kind: state.RulesLoosened, Who: who, When: deps.Now().UTC(), Why: why}
	return store.Retry(adopted, decision, func(q *state.Quarantined) state.Record {
		rec := state.Record{Size: q.Size, Key: q.Key, Value: q.Value}
		rec.Rounded, rec.Rejection = d.Decode(decode.Record{
			Topic: topics[q.Source.Topic], Source: q.Source, Null: q.Value == nil, Value: q.Value,
		}, &rec.Event)
		return rec
	})
}

// AddTopics adds topics of the same cluster to the state in dir. They are read from their start at the next run. No
// ingest may run.
func AddTopics(ctx context.Context, cfg Config, names []string, deps Deps) (err error) {
	deps = deps.withDefaults()
	store, err := statedir.OpenStopped(cfg.State, deps.State)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	r, err := store.Reader()
	if err != nil {
		return err
	}
	id := r.Identity()
	if err := r.Close(); err != nil {
		return err
	}
	var added []state.Topic
	for _, name := range names {
		added = append(added, state.Topic{Name: name, Ordinal: billing.TopicOrdinal(len(id.Topics) + len(added))})
	}
	g := &Ingester{cfg: cfg, deps: deps, identity: state.Identity{Topics: append(id.Topics[:len(id.Topics):len(id.Topics)], added...)}}
	var admin *kgo.Client
	if admin, err = g.connect(adminOption); err != nil {
		return err
	}
	defer admin.Close()
	l, err := g.listNew(ctx, admin)
	if err != nil {
		return err
	}
	if err := sameInput(id, l); err != nil {
		return err
	}
	for i := range added {
		added[i].ID = l.TopicIDs[added[i].Name]
	}
	if err := store.AddTopics(added); err != nil {
		return fmt.Errorf("add topics: %w", err)
	}
	return nil
}

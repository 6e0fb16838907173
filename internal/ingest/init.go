package ingest

import (
	"context"
	"errors"
	"path/filepath"

	"daybook/internal/billing"
	"daybook/internal/state"
)

// Init creates a state of the configured topics, as they are in the cluster now, with the given rules. The state
// directory must be empty or missing.
func Init(ctx context.Context, cfg Config, rules RulesConfig, deps Deps) (state.Identity, error) {
	deps = deps.withDefaults()
	faults := []error{cfg.Validate()}
	if len(cfg.Topics) == 0 {
		faults = append(faults, errNoTopic)
	}
	r, err := rules.Over(billing.DefaultRules())
	if err := errors.Join(append(faults, err)...); err != nil {
		return state.Identity{}, err
	}
	// A second init fails before it connects to a cluster.
	if _, err := deps.State.FS.Stat(filepath.Join(cfg.State, state.LiveDir)); err == nil {
		return state.Identity{}, state.ErrExists
	}
	id := state.Identity{Partitions: "all", Rules: r}
	for i, name := range cfg.Topics {
		id.Topics = append(id.Topics, state.Topic{Name: name, Ordinal: billing.TopicOrdinal(i)})
	}
	g := &Ingester{cfg: cfg, deps: deps, identity: id}
	if err := g.identify(ctx, &id); err != nil {
		return state.Identity{}, err
	}
	return id, state.Create(cfg.State, id, deps.State)
}

// identify sets the cluster ID and the IDs of the topics.
func (g *Ingester) identify(ctx context.Context, id *state.Identity) error {
	admin, err := g.connect(adminOption)
	if err != nil {
		return err
	}
	defer admin.Close()
	l, err := g.listNew(ctx, admin)
	if err != nil {
		return err
	}
	id.Cluster = l.Cluster
	for i := range id.Topics {
		id.Topics[i].ID = l.TopicIDs[id.Topics[i].Name]
	}
	return nil
}

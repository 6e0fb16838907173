package ingest

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"daybook/internal/kafka"
)

// clerk is the user that ingest is in tests of its rights.
const (
	clerk         = "clerk"
	clerkPassword = "paper-and-ink"
)

// asClerk is how ingest says that it is the clerk.
func asClerk(brokers []string) kafka.Config {
	return kafka.Config{Brokers: brokers, SASL: kafka.Plain, SASLUser: clerk, SASLPassword: clerkPassword}
}

// needed is what docs/kafka.md says ingest needs; wanted is what it can do without.
func needed(w *world) []*kadm.ACLBuilder {
	return []*kadm.ACLBuilder{acl().Topics(w.topic).Operations(kadm.OpRead)}
}

func wanted(w *world) []*kadm.ACLBuilder {
	return []*kadm.ACLBuilder{
		acl().Topics(w.topic).Operations(kadm.OpDescribeConfigs),
		acl().Groups(w.cfg.Group).Operations(kadm.OpRead),
	}
}

// acl begins a rule for the clerk, from anywhere.
func acl() *kadm.ACLBuilder {
	return kadm.NewACLs().Allow("User:" + clerk).AllowHosts("*").ResourcePatternType(kadm.ACLPatternLiteral)
}

// allow gives the clerk rights.
func (w *world) allow(rules ...*kadm.ACLBuilder) {
	w.t.Helper()
	for _, rule := range rules {
		results, err := w.admin().CreateACLs(w.within(), rule)
		for _, r := range results {
			err = errors.Join(err, r.Err)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// forbid takes all rights from the clerk.
func (w *world) forbid() {
	w.t.Helper()
	req := kmsg.NewPtrDeleteACLsRequest()
	f := kmsg.NewDeleteACLsRequestFilter()
	f.ResourceType, f.ResourcePatternType, f.Operation, f.PermissionType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny, kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	f.Principal = kmsg.StringPtr("User:" + clerk)
	req.Filters = append(req.Filters, f)
	if _, err := req.RequestWith(w.within(), w.client); err != nil {
		w.t.Fatal(err)
	}
}

func TestRightsLostAndGivenBack(t *testing.T) {
	root := []kgo.Opt{kgo.SASL(plain.Auth{User: "root", Pass: "root"}.AsMechanism())}
	w := fakeWorld(t, root, 1, kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "root", "root"), kfake.User("PLAIN", clerk, clerkPassword))
	w.cfg.Kafka = asClerk(w.addrs)
	rightsLostAndGivenBack(w)
}

func rightsLostAndGivenBack(w *world) {
	if _, err := Init(w.within(), w.cfg, RulesConfig{}, w.deps()); err == nil || !strings.Contains(err.Error(), `user "clerk" is not authorised for topic `+w.topic) {
		w.t.Errorf("without rights: %v", err)
	}
	w.allow(needed(w)...)
	w.eventually("the right to begin", func() bool {
		_, err := Init(w.within(), w.cfg, RulesConfig{}, w.deps())
		return err == nil
	})
	w.push(0, events(0, 1)...)
	g, stop := w.follow(RunOptions{})
	w.reaches(g, 0, 1)
	w.eventually("ready", func() bool { return g.Ready() == nil })
	w.eventually("a warning about settings", func() bool { return w.log.has("failed to read topic settings") })
	w.eventually("a warning about the mirrored offsets", func() bool { return w.log.has("failed to commit offsets for lag tools") })

	w.forbid()
	w.eventually("not ready", func() bool {
		err := g.Ready()
		return err != nil && strings.Contains(err.Error(), "not authorised for topic "+w.topic)
	})
	w.push(0, events(1, 1)...)
	w.allow(append(needed(w), wanted(w)...)...)
	w.reaches(g, 0, 2)
	w.eventually("ready again", func() bool { return g.Ready() == nil })
	if err := stop(); err != nil {
		w.t.Fatal(err)
	}
	w.log = &logged{}
	w.mustCatchUp()
	if w.log.has("failed to read topic settings") || w.log.has("failed to commit offsets for lag tools") {
		w.t.Error("a word on missing rights that are there")
	}
	equal(w.t, w.totals(), map[string]string{"a 2025-01-01": "2"})
	w.positions()
}

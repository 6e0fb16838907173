package testkafka

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

// starts is how often a cluster is started again when a broker ends while it
// starts, as it does when another process took its port meanwhile.
const starts = 3

// The protocols a broker may listen with. Plaintext is always there.
const (
	Plaintext     = "PLAINTEXT"
	SASLPlaintext = "SASL_PLAINTEXT"
	SASLTLS       = "SASL_SSL"
	TLS           = "SSL"
)

// Config says which brokers to start.
type Config struct {
	Libs      string   // directory of Kafka's jars
	Dir       string   // where the brokers keep everything; it must exist
	Brokers   int      // default 1; the first is also the controller and must stay up for leaders to move
	Protocols []string // to listen with, beside Plaintext
	Settings  []string // lines for every broker's server.properties
}

// Cluster is some brokers that know each other.
type Cluster struct {
	ID    string
	nodes []*node
}

// Open starts a cluster with an empty log and returns once every broker listens.
func Open(cfg Config) (*Cluster, error) {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	var faults []error
	for attempt := range starts {
		c := &Cluster{ID: base64.RawURLEncoding.EncodeToString(id)}
		err := c.begin(cfg, filepath.Join(cfg.Dir, strconv.Itoa(attempt)))
		if err == nil {
			return c, nil
		}
		faults = append(faults, err, c.Close())
	}
	return nil, errors.Join(faults...)
}

// begin makes and starts the brokers in dir.
func (c *Cluster) begin(cfg Config, dir string) error {
	protocols := append([]string{Plaintext}, cfg.Protocols...)
	controller, err := freePort()
	if err != nil {
		return err
	}
	for i := range max(cfg.Brokers, 1) {
		n := &node{id: i + 1, libs: cfg.Libs, dir: filepath.Join(dir, strconv.Itoa(i+1)), ports: map[string]int{}}
		for _, p := range protocols {
			if n.ports[p], err = freePort(); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(n.dir, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(n.file(), []byte(n.properties(controller, protocols, cfg.Settings)), 0o600); err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
	}
	var work errgroup.Group
	for _, n := range c.nodes {
		work.Go(func() error { return n.format(c.ID) })
	}
	if err := work.Wait(); err != nil {
		return err
	}
	for _, n := range c.nodes {
		work.Go(n.start)
	}
	return work.Wait()
}

// Close kills the brokers that run.
func (c *Cluster) Close() error {
	var faults []error
	for _, n := range c.nodes {
		faults = append(faults, n.kill())
	}
	return errors.Join(faults...)
}

// Addrs are the brokers' addresses for a protocol, the first broker's first.
func (c *Cluster) Addrs(protocol string) []string {
	var all []string
	for _, n := range c.nodes {
		all = append(all, n.addr(protocol))
	}
	return all
}

// Kill ends a broker as kill -9 does. Brokers are numbered from 1.
func (c *Cluster) Kill(id int) error { return c.nodes[id-1].kill() }

// Revive starts a killed broker on its log and its ports and returns once it listens.
func (c *Cluster) Revive(id int) error { return c.nodes[id-1].start() }

// properties is a broker's server.properties.
func (n *node) properties(controller int, protocols, settings []string) string {
	roles, listeners := "broker", []string{}
	for _, p := range protocols {
		listeners = append(listeners, fmt.Sprintf("%s://%s", p, n.addr(p)))
	}
	advertised := slices.Clone(listeners)
	if n.id == 1 {
		roles = "broker,controller"
		listeners = append(listeners, fmt.Sprintf("CONTROLLER://127.0.0.1:%d", controller))
	}
	maps := []string{"CONTROLLER:PLAINTEXT"}
	for _, p := range protocols {
		maps = append(maps, p+":"+p)
	}
	return strings.Join(append([]string{
		"process.roles=" + roles,
		"node.id=" + strconv.Itoa(n.id),
		fmt.Sprintf("controller.quorum.voters=1@127.0.0.1:%d", controller),
		"listeners=" + strings.Join(listeners, ","),
		"advertised.listeners=" + strings.Join(advertised, ","),
		"controller.listener.names=CONTROLLER",
		"listener.security.protocol.map=" + strings.Join(maps, ","),
		"log.dirs=" + filepath.Join(n.dir, "log"),
		"auto.create.topics.enable=false",
		"offsets.topic.replication.factor=1",
		"offsets.topic.num.partitions=1",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"transaction.state.log.num.partitions=1",
		"group.initial.rebalance.delay.ms=0",
		// Tests wait for these.
		"log.cleaner.backoff.ms=200",
		"broker.session.timeout.ms=6000",
		"broker.heartbeat.interval.ms=1000",
	}, settings...), "\n") + "\n"
}

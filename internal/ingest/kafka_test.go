package ingest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"daybook/internal/kafka"
	"daybook/internal/test/testkafka"
)

// TestKafkaSecurity is one broker that asks who is there, in every way it can:
// right and wrong passwords and certificates, rights that come and go, and the
// broker killed at the end. It is another cluster than the one the tests share.
func TestKafkaSecurity(t *testing.T) {
	t.Parallel()
	testkafka.Shared(t)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	ca, stranger := testkafka.NewAuthority(t, file("ca.pem")), testkafka.NewAuthority(t, file("other.pem"))
	ca.Issue(t, file("broker"), "127.0.0.1")
	ca.Issue(t, file("clerk"), clerk)
	stranger.Issue(t, file("stranger"), clerk)
	var pem []byte
	for _, name := range []string{"broker.key", "broker.crt"} {
		text, err := os.ReadFile(file(name))
		if err != nil {
			t.Fatal(err)
		}
		pem = append(pem, text...)
	}
	if err := os.WriteFile(file("keystore.pem"), pem, 0o600); err != nil {
		t.Fatal(err)
	}
	settings := []string{
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users=User:ANONYMOUS", // whoever comes by PLAINTEXT: the tests' own clients
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		"ssl.keystore.type=PEM", "ssl.keystore.location=" + file("keystore.pem"),
		"ssl.truststore.type=PEM", "ssl.truststore.location=" + file("ca.pem"),
		"listener.name.ssl.ssl.client.auth=required",
		"ssl.principal.mapping.rules=RULE:^CN=(.*?)$/$1/",
	}
	for _, listener := range []string{"sasl_plaintext", "sasl_ssl"} {
		settings = append(settings,
			fmt.Sprintf(`listener.name.%s.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_%s="%s";`, listener, clerk, clerkPassword),
			fmt.Sprintf("listener.name.%s.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;", listener),
			fmt.Sprintf("listener.name.%s.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;", listener))
	}
	cluster := testkafka.Start(t, testkafka.Config{Protocols: []string{testkafka.SASLPlaintext, testkafka.SASLTLS, testkafka.TLS}, Settings: settings})
	plaintext := cluster.Addrs(testkafka.Plaintext)
	world := func(t *testing.T) *world { return kafkaWorld(t, plaintext, 1) }

	t.Run("passwords and certificates", func(t *testing.T) {
		w := world(t)
		w.allow(needed(w)...)
		for _, m := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} {
			r, err := w.admin().AlterUserSCRAMs(w.within(), nil, []kadm.UpsertSCRAM{{User: clerk, Mechanism: m, Iterations: 4096, Password: clerkPassword}})
			if err = errors.Join(err, r.Error()); err != nil {
				t.Fatal(err)
			}
		}
		w.push(0, events(0, 1)...)
		// f reads the topic from its beginning by c; want is what a refusal says, empty: it is let in.
		f := func(name string, c kafka.Config, want ...string) {
			t.Helper()
			w := *w
			w.cfg.Kafka, w.cfg.State = c, filepath.Join(t.TempDir(), "state")
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			_, err := Init(ctx, w.cfg, RulesConfig{}, w.deps())
			if len(want) == 0 {
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				w.mustCatchUp()
				equal(t, w.totals(), map[string]string{"a 2025-01-01": "1"})
				return
			}
			for _, words := range want {
				if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: %v, want one line with %q", name, err, words)
				}
			}
			if err != nil && strings.Contains(err.Error(), "wrong-one") {
				t.Errorf("%s: the password is printed: %v", name, err)
			}
		}
		w.eventually("the passwords", func() bool {
			c := asClerk(cluster.Addrs(testkafka.SASLPlaintext))
			c.SASL = kafka.ScramSHA512
			w.cfg.Kafka = c
			_, err := Init(w.within(), w.cfg, RulesConfig{}, w.deps())
			return err == nil
		})
		for _, m := range []kafka.Mechanism{kafka.Plain, kafka.ScramSHA256, kafka.ScramSHA512} {
			c := asClerk(cluster.Addrs(testkafka.SASLPlaintext))
			c.SASL = m
			f(string(m), c)
			c.SASLPassword = "wrong-one"
			f(string(m)+", wrong password", c, `the broker refused user "clerk"`, "--sasl-user")
			c = asClerk(cluster.Addrs(testkafka.SASLTLS))
			c.SASL, c.TLS, c.TLSCA = m, true, file("ca.pem")
			f(string(m)+" over TLS", c)
		}
		tls := kafka.Config{Brokers: cluster.Addrs(testkafka.TLS), TLS: true, TLSCA: file("ca.pem"), TLSCert: file("clerk.crt"), TLSKey: file("clerk.key")}
		f("certificate", tls)
		c := tls
		c.TLSCert, c.TLSKey = file("stranger.crt"), file("stranger.key")
		f("a stranger's certificate", c, "--tls-cert")
		c.TLSCert, c.TLSKey = "", ""
		f("no certificate", c, "--tls-cert")
		c = tls
		c.TLSCA = file("other.pem")
		f("another authority", c, "not trusted", "--tls-ca")
		c = tls
		c.TLSServerName = "kafka.example"
		f("another name", c, "not for kafka.example", "--tls-server-name")
		f("TLS where none is spoken", kafka.Config{Brokers: plaintext, TLS: true}, "--tls")
		f("no TLS where it is spoken", kafka.Config{Brokers: cluster.Addrs(testkafka.TLS)}, "--tls")
		f("no password where one is asked for", kafka.Config{Brokers: cluster.Addrs(testkafka.SASLPlaintext)}, "--sasl")
	})

	t.Run("rights", func(t *testing.T) {
		w := world(t)
		w.cfg.Kafka = asClerk(cluster.Addrs(testkafka.SASLPlaintext))
		rightsLostAndGivenBack(w)
	})

	t.Run("another cluster", func(t *testing.T) {
		w := newKafkaWorld(t, 1)
		w.init()
		w.mustCatchUp()
		other := world(t)
		other.createTopic(w.topic, 1)
		w.cfg.Kafka.Brokers = plaintext
		mustStop(t, w.catchUp(RunOptions{}), ErrOtherCluster)
	})

	t.Run("broker killed", func(t *testing.T) {
		w := world(t)
		w.init()
		w.push(0, events(0, 100)...)
		g, stop := w.follow(RunOptions{})
		w.reaches(g, 0, 100)
		if err := cluster.Kill(1); err != nil {
			t.Fatal(err)
		}
		w.eventually("not ready", func() bool {
			err := g.Ready()
			return err != nil && strings.Contains(err.Error(), "no broker answers")
		})
		if err := cluster.Revive(1); err != nil {
			t.Fatal(err)
		}
		w.push(0, events(100, 100)...)
		w.reaches(g, 0, 200)
		w.eventually("ready again", func() bool { return g.Ready() == nil })
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		equal(t, w.totals(), map[string]string{"a 2025-01-01": "200"})
		w.positions()
	})
}

// place makes the world's topic with these brokers for its partitions, the preferred leader first.
func (w *world) place(replicas [][]int32, settings map[string]string) {
	w.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = w.topic, -1, -1
	for p, rs := range replicas {
		a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		a.Partition, a.Replicas = int32(p), rs
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, a)
	}
	for name, value := range settings {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = name, kmsg.StringPtr(value)
		topic.Configs = append(topic.Configs, c)
	}
	req.Topics, req.TimeoutMillis = append(req.Topics, topic), 10_000
	var err error
	w.eventually("the topic", func() bool { // the brokers may not know each other yet
		var resp *kmsg.CreateTopicsResponse
		if resp, err = req.RequestWith(w.within(), w.client); err == nil {
			err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
		}
		return err == nil || errors.Is(err, kerr.TopicAlreadyExists)
	})
}

// led waits until a partition is led by a broker, with so many replicas in sync.
func (w *world) led(partition, leader int32, inSync int) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("broker %d leads partition %d with %d in sync", leader, partition, inSync), func() bool {
		topics, err := w.admin().ListTopics(w.within(), w.topic)
		p := topics[w.topic].Partitions[partition]
		return err == nil && p.Leader == leader && len(p.ISR) == inSync
	})
}

// TestKafkaCluster is three brokers of which two are killed and started again.
// The first is the controller, and leads nothing.
func TestKafkaCluster(t *testing.T) {
	t.Parallel()
	testkafka.Shared(t)
	cluster := testkafka.Start(t, testkafka.Config{Brokers: 3})
	kill := func(t *testing.T, id int) {
		t.Helper()
		if err := cluster.Kill(id); err != nil {
			t.Fatal(err)
		}
	}
	revive := func(t *testing.T, id int) {
		t.Helper()
		if err := cluster.Revive(id); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("leaders move", func(t *testing.T) {
		w := kafkaWorld(t, cluster.Addrs(testkafka.Plaintext), 0)
		w.place([][]int32{{2, 3}, {3, 2}}, nil)
		w.led(0, 2, 2)
		w.led(1, 3, 2)
		w.init()
		g, stop := w.follow(RunOptions{})
		w.eventually("ready", func() bool { return g.Ready() == nil })
		var enough atomic.Bool
		pushed := make(chan int, 1)
		go func() {
			n := 0
			for ; !enough.Load() && !t.Failed(); n += 20 {
				w.push(0, events(n, 10)...)
				w.push(1, events(n+10, 10)...)
				time.Sleep(5 * time.Millisecond)
			}
			pushed <- n
		}()
		further := func(what string) {
			t.Helper()
			before := g.tracker.nexts()
			w.eventually("records of both partitions "+what, func() bool {
				for id, next := range g.tracker.nexts() {
					if next <= before[id] {
						return false
					}
				}
				return len(before) == 2
			})
		}
		further("at the start")
		kill(t, 2)
		w.led(0, 3, 1)
		further("with one broker")
		revive(t, 2)
		w.led(0, 3, 2)
		if _, err := w.admin().ElectLeaders(w.within(), kadm.ElectPreferredReplica, nil); err != nil {
			t.Fatal(err)
		}
		w.led(0, 2, 2)
		further("after the leader moved back")
		kill(t, 3)
		w.led(1, 2, 1)
		further("with the other broker")
		enough.Store(true)
		n := <-pushed
		kill(t, 2) // now no broker leads
		w.eventually("not ready", func() bool { return g.Ready() != nil })
		revive(t, 2)
		revive(t, 3)
		w.reaches(g, 0, int64(n/2))
		w.reaches(g, 1, int64(n/2))
		w.eventually("ready again", func() bool { return g.Ready() == nil })
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		equal(t, w.totals(), map[string]string{"a 2025-01-01": strconv.Itoa(n)})
		w.positions()
	})

	// A broker that missed records becomes the leader: what the state has consumed was cut off the log.
	t.Run("log truncated", func(t *testing.T) {
		w := kafkaWorld(t, cluster.Addrs(testkafka.Plaintext), 0)
		w.place([][]int32{{2, 3}}, map[string]string{"unclean.leader.election.enable": "true", "min.insync.replicas": "1"})
		w.led(0, 2, 2)
		w.init()
		w.push(0, events(0, 5)...)
		kill(t, 3)
		w.led(0, 2, 1)
		w.push(0, events(5, 5)...)
		w.mustCatchUp()
		kill(t, 2)
		revive(t, 3)
		w.led(0, 3, 1)
		mustStop(t, w.catchUp(RunOptions{}), ErrLogTruncated)
		mustStop(t, w.catchUp(RunOptions{AcceptGap: true}), ErrLogTruncated)
		// Once it is as long again only the leader's epoch tells.
		w.pushBy(w.newClient(kgo.RecordPartitioner(kgo.ManualPartitioner())), 0, events(100, 20)...)
		mustStop(t, w.catchUp(RunOptions{}), ErrLogTruncated)
		revive(t, 2)
		equal(t, w.totals(), map[string]string{"a 2025-01-01": "10"})
		if p := w.positions()[0]; p.NextOffset != 10 {
			t.Errorf("position %+v, want offset 10 as before", p)
		}
	})
}

package testkafka

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// startTimeout bounds the start of a broker on a busy machine.
const startTimeout = 90 * time.Second

// node is one broker and its process.
type node struct {
	id    int
	libs  string
	dir   string
	ports map[string]int // by protocol

	running *exec.Cmd // nil: none
	ended   chan struct{}
}

func (n *node) file() string   { return filepath.Join(n.dir, "server.properties") }
func (n *node) output() string { return filepath.Join(n.dir, "output.txt") }

func (n *node) addr(protocol string) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.ports[protocol]))
}

// java is a command of Kafka's; it ends with this process where the system can do that.
func (n *node) java(options []string, args ...string) *exec.Cmd {
	c := exec.Command("java", append(append(options, "-cp", filepath.Join(n.libs, "*")), args...)...)
	endWithParent(c)
	return c
}

// format prepares the log directory.
func (n *node) format(cluster string) error {
	c := n.java([]string{"-XX:TieredStopAtLevel=1"}, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", n.file())
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("format broker %d: %w\n%s", n.id, err, out)
	}
	return nil
}

// start starts the process and waits until it listens.
func (n *node) start() error {
	out, err := os.OpenFile(n.output(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	c := n.java([]string{"-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=WARN"}, "kafka.Kafka", n.file())
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		return fmt.Errorf("start broker %d: %w", n.id, err)
	}
	n.running, n.ended = c, make(chan struct{})
	go func(ended chan struct{}) {
		defer close(ended)
		_ = c.Wait() // killed, or its output says why
	}(n.ended)
	deadline := time.Now().Add(startTimeout)
	for {
		select {
		case <-n.ended:
			return fmt.Errorf("broker %d ended while starting:\n%s", n.id, n.tail())
		case <-time.After(100 * time.Millisecond):
		}
		if conn, err := net.DialTimeout("tcp", n.addr(Plaintext), time.Second); err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("broker %d does not listen after %s:\n%s", n.id, startTimeout, n.tail())
		}
	}
}

// kill ends the process if there is one.
func (n *node) kill() error {
	if n.running == nil {
		return nil
	}
	err := n.running.Process.Kill()
	<-n.ended
	n.running = nil
	if errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("broker %d had ended by itself:\n%s", n.id, n.tail())
	}
	return err
}

// tail is the end of what the broker printed.
func (n *node) tail() []byte {
	text, err := os.ReadFile(n.output())
	if err != nil {
		return []byte(err.Error())
	}
	return text[max(0, len(text)-4000):]
}

// freePort is a free port, below those that the system gives to clients.
func freePort() (int, error) {
	for range 100 {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no free port from 20000 to 31999")
}

package testkafka

import (
	"os"
	"testing"
)

// The environment that test/kafka/run makes for the tests.
const (
	// AddrVariable names the broker that tests share, as host:port.
	AddrVariable = "DAYBOOK_TEST_KAFKA"
	// LibsVariable names the directory of jars from which tests start brokers of their own.
	LibsVariable = "DAYBOOK_KAFKA_LIBS"
	// PythonVariable names a Python with the packages of test/kafka/python.txt.
	PythonVariable = "DAYBOOK_TEST_PYTHON"
)

// Shared is the address of the broker that tests share. Without one the test is skipped.
func Shared(t testing.TB) string {
	t.Helper()
	return variable(t, AddrVariable)
}

// Start starts brokers that end with the test. Without the jars the test is skipped.
func Start(t testing.TB, cfg Config) *Cluster {
	t.Helper()
	Shared(t)
	cfg.Libs, cfg.Dir = variable(t, LibsVariable), t.TempDir()
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Libs is the directory of Kafka's jars. Without it the test is skipped.
func Libs(t testing.TB) string {
	t.Helper()
	return variable(t, LibsVariable)
}

// Python is a Python with Kafka's client. Without it the test is skipped.
func Python(t testing.TB) string {
	t.Helper()
	return variable(t, PythonVariable)
}

// variable is the value of an environment variable that the test needs.
func variable(t testing.TB, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Skip(name + " is not set: `make test-kafka` runs this test")
	}
	return v
}

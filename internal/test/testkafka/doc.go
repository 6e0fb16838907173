// Package testkafka runs Apache Kafka for tests: brokers in KRaft mode, each a
// process of its own on loopback, that a test may kill and start again, and the
// certificates they need for TLS. test/kafka/run fetches the jars.
//
// It owns the processes and what they leave on disk; topics and records are the
// test's. No program imports it. A Cluster is used from one goroutine.
package testkafka

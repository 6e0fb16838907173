// Package kafka connects Daybook's programs to a Kafka cluster: brokers, TLS and SASL from flags, environment or
// file as kgo options, and explanations of connection errors.
//
// It owns no client: ingest, produce, audit and sandbox create theirs with Options and close them. A Config is
// read-only after Validate and safe for concurrent use.
package kafka

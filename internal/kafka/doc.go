// Package kafka is how Daybook's programs reach a Kafka cluster: brokers, TLS
// and SASL from flags, environment or file, as kgo options, and the meaning of
// the errors that reaching one gives.
//
// It owns no client: ingest, produce and sandbox make theirs from Options and
// close it. A Config is read-only after Validate and safe for concurrent use.
package kafka

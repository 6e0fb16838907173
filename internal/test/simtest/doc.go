// Package simtest simulates whole lives of Daybook in one process and one fake
// time: the real Kafka client against an embedded broker on a virtual network,
// real Pebble and the publisher's files on a file system that loses power,
// several tenants, publishers and readers. Machines crash at any write to their
// disk; after each recovery, of each release, and at the end the naive model
// (internal/test/oracle) decides. It contains tests alone; docs/simulation.md says what is
// simulated and how to run it.
package simtest

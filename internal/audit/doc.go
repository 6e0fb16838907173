// Package audit rebuilds a release from the log with independent code and reports every cell that differs, for
// users who do not trust the programs that made the release.
//
// It owns an implementation of every rule between a record and a number: the JSON of an event, its verdict, money
// (math/big), the version order, what quarantine withholds, sums, and the digests of the certificate. It imports
// nothing of decode, dedup, rollup, state, ingest or publish, and only types of billing: no arithmetic, no parsing,
// no ordering. docs/audit.md names the shared code: the Kafka client, lake, which reads the files, and extsort. It
// does not own the input of a release: the manifest has positions, rules, decisions and expected accounts.
//
// Memory is bounded. Larger data is sorted in unlinked temporary files, so that nothing remains after the process ends.
// It writes nothing else. An Auditor is for one goroutine.
package audit

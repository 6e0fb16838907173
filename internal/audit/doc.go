// Package audit rebuilds a release from the log and says where the two differ. It is the second opinion
// that ships with Daybook: whoever does not trust the programs that made a release can read the topic
// from its beginning with other code and hold every published cell against it.
//
// It owns a reading of its own of every rule between a record and a number: the JSON of an event, the
// verdict on it, money (math/big), the order of versions, what quarantine withholds, sums, and the digests
// of the certificate. So it imports nothing of decode, dedup, rollup, state, ingest or publish, and of
// billing only the words: no arithmetic, no parsing, no ordering. What it shares with them is named in
// docs/audit.md: the Kafka client, and lake, which reads the files. It does not own what a release is made
// from: positions, rules, decisions and expected accounts are taken from the manifest.
//
// Memory is bounded: what does not fit is sorted in temporary files that have no name, so nothing is left
// behind. It writes nothing else. An Auditor is for one goroutine.
package audit

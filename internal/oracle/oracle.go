// Package oracle is the naive model that tests hold Daybook against: a map and
// big.Rat over the whole log. It is written independently of dedup and rollup
// and imports billing's types alone; nothing that ships imports it.
package oracle

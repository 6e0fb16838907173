package format

import (
	"github.com/zeebo/xxh3"

	"daybook/internal/billing"
)

// HashRow is the XXH3-128 of a row, for digests of sets of rows (billing.Digest.Plus). A row is its key and its
// value, one after the other.
func HashRow(row []byte) billing.Digest { return billing.Digest(xxh3.Hash128(row).Bytes()) }

// HashLocator hashes a locator without keyspace and generation: the generation depends on the order of arrival.
func HashLocator(row []byte) billing.Digest { return HashRow(row[LocatorHeader:]) }

// HashRecord hashes a record without its keyspace: whether it is in the overlay depends on the order of arrival.
func HashRecord(row []byte) billing.Digest { return HashRow(row[1:]) }

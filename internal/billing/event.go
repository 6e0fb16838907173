package billing

// Op says what a version does to its event.
type Op uint8

// The operations. Their numbers are stored and never change.
const (
	Upsert Op = 0
	Delete Op = 1
)

// Category is a FOCUS charge category; empty means null.
type Category string

// The charge categories that an event may name.
const (
	Usage      Category = "Usage"
	Purchase   Category = "Purchase"
	Tax        Category = "Tax"
	Credit     Category = "Credit"
	Adjustment Category = "Adjustment"
)

// Event is one version of a billing event, as parsed from one record. A
// Delete carries Tenant, ID, Op and Version alone.
type Event struct {
	Tenant       TenantID
	ID           EventID
	Op           Op
	Account      AccountID
	Service      ServiceName
	Day          Day
	Cost         Money
	Region       Region
	PricingModel PricingModel
	Category     Category
	Period       Period
	// Attributes is the JSON object of all fields that Daybook does not
	// model, keys in ascending order, values verbatim; empty means none.
	Attributes string
	Version    Version
}

// Digest identifies content: the first 16 bytes of a SHA-256.
type Digest [16]byte

// Digest is the digest of the event's content: everything but Version. Equal
// content has equal digests, whatever record carried it.
func (e *Event) Digest() Digest {
	panic("not built yet")
}

// AccountDay is where the event counts. It is meaningless for a Delete.
func (e *Event) AccountDay() AccountDay {
	return AccountDay{Tenant: e.Tenant, Account: e.Account, Day: e.Day}
}

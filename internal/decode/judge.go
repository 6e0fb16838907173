package decode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"time"
	"unicode/utf8"

	"daybook/internal/billing"
)

// maxQuoted is how many bytes of a record a rejection's detail may quote.
const maxQuoted = 64

// failf is like fail with a formatted detail.
func (j *judge) failf(reason billing.Reason, format string, args ...any) {
	if j.rejection == nil {
		j.fail(reason, fmt.Sprintf(format, args...))
	}
}

// judgeFields judges the members in the order of billing.Reasons. It continues after a fault, so that the rejection
// contains all fields that can be read. The verdict on a delete depends on its identity and version only; its other
// members are read only if it is rejected.
func (j *judge) judgeFields() {
	j.judgeRecordTime()
	j.judgeTenant()
	j.judgeEventID()
	j.judgeOp()
	j.judgeIngestedAt()
	j.judgeRevision()
	if j.op == billing.Delete && j.rejection == nil {
		return
	}
	j.judgeAccount()
	j.judgeService()
	j.judgeDay()
	inUSD := j.judgeCurrency()
	j.judgeCost(inUSD)
	j.judgeCategory()
	j.judgeSign()
	j.judgePeriod()
	j.region = j.optional(region, billing.RegionInvalid)
	j.pricing = j.optional(pricingModel, billing.PricingModelInvalid)
}

func (j *judge) judgeRecordTime() {
	at, ok := instantOfMillis(j.rec.Source.RecordTime)
	if !ok {
		j.failf(billing.RecordTimestampMissing, "timestamp %d ms", j.rec.Source.RecordTime)
		return
	}
	j.recordTime, j.timed = at, true
}

// judgeTenant finds the tenant. If the record names an invalid tenant or one that its topic is not bound to, or
// if its tenant was not read, the tenant of the rejection is empty: the record must not affect any tenant.
func (j *judge) judgeTenant() {
	text, kind := j.text(tenantID)
	switch {
	case kind == absent && !j.bound && j.whole:
		j.tenant = billing.DefaultTenant
	case kind == absent:
	case kind == other || len(text) > maxQuoted || !billing.TenantID(text).Valid():
		j.tenant = ""
		j.failf(billing.TenantIDInvalid, "tenant_id is %s", quote(j.d.raw[tenantID]))
	case j.bound && string(text) != string(j.tenant):
		j.failf(billing.TenantMismatch, "the topic is bound to tenant %s, the record is of %s", j.tenant, text)
		j.tenant = ""
	case !j.bound:
		j.tenantText = text
	}
}

func (j *judge) judgeEventID() {
	text, kind := j.text(eventID)
	switch {
	case kind == absent:
		j.fail(billing.EventIDMissing, "every event needs an event_id")
	case kind == other || !identifier(text) || hasControl(text):
		j.failf(billing.EventIDInvalid, "event_id is %s", quote(j.d.raw[eventID]))
	default:
		j.id = text
	}
}

func (j *judge) judgeOp() {
	text, kind := j.text(op)
	switch {
	case kind == absent || string(text) == "upsert":
		j.op = billing.Upsert
	case string(text) == "delete":
		j.op = billing.Delete
	default:
		j.failf(billing.OpInvalid, "op is %s", quote(j.d.raw[op]))
	}
}

// judgeIngestedAt finds when the version was ingested: ingested_at, else ingestion_date, else the record's
// timestamp.
func (j *judge) judgeIngestedAt() {
	a, aGiven, aOK := j.moment(ingestedAt, billing.IngestedAtInvalid)
	b, bGiven, bOK := j.moment(ingestionDate, billing.IngestedAtInvalid)
	if aGiven && !aOK || bGiven && !bOK || !aGiven && !bGiven {
		return
	}
	at := a
	switch {
	case !aGiven:
		at = b
	case !bGiven:
	case a.dateOnly && !b.dateOnly && a.day() == b.day():
		at = b // the more exact of two that agree
	case b.dateOnly && a.day() == b.day():
	case a.instant != b.instant:
		j.failf(billing.IngestedAtConflict, "ingested_at is %s, ingestion_date is %s", quote(j.d.raw[ingestedAt]), quote(j.d.raw[ingestionDate]))
		return
	}
	if j.timed && time.Duration(at.instant-j.recordTime) > j.d.rules.MaxIngestedAhead {
		j.failf(billing.IngestedAtFuture, "ingested_at is more than %s after the record's timestamp %s", j.d.rules.MaxIngestedAhead, j.recordTime.Time().Format(time.RFC3339))
		return
	}
	if j.timed {
		j.ingestedAt, j.ingested = at.instant, true
	}
}

func (j *judge) judgeRevision() {
	raw := j.d.raw[sourceRevision]
	if isAbsent(raw) {
		return
	}
	n, ok := integer(raw)
	if !ok {
		j.failf(billing.SourceRevisionInvalid, "source_revision is %s", quote(raw))
		return
	}
	j.revision = n
}

func (j *judge) judgeAccount() {
	text, kind := j.text(accountID)
	switch {
	case kind == absent:
		j.fail(billing.AccountIDMissing, "every event needs an account_id")
	case kind == other && isNumber(j.d.raw[accountID]):
		j.failf(billing.AccountIDNumber, "account_id is the number %s; write it as a string", quote(j.d.raw[accountID]))
	case kind == other || !identifier(text):
		j.failf(billing.AccountIDInvalid, "account_id is %s", quote(j.d.raw[accountID]))
	default:
		j.account = text
	}
}

func (j *judge) judgeService() {
	text, kind := j.text(serviceName)
	switch {
	case kind == absent:
		j.fail(billing.ServiceNameMissing, "every event needs a service_name")
	case kind == other || !identifier(text):
		j.failf(billing.ServiceNameInvalid, "service_name is %s", quote(j.d.raw[serviceName]))
	default:
		j.service = text
	}
}

func (j *judge) judgeDay() {
	a, aGiven, aOK := j.moment(usageDate, billing.UsageDateInvalid)
	b, bGiven, bOK := j.moment(usageStart, billing.UsageDateInvalid)
	switch {
	case aGiven && !aOK || bGiven && !bOK:
		return
	case !aGiven && !bGiven:
		j.fail(billing.UsageDateMissing, "every event needs a usage_date or usage_start")
		return
	case aGiven && bGiven && a.day() != b.day():
		j.failf(billing.UsageDateConflict, "usage_date is %s, usage_start is on %s in UTC", a.day(), b.day())
		return
	case !aGiven:
		a = b
	}
	j.day, j.dated = a.day(), true
	start := billing.Instant(j.day.Start().UnixNano())
	if j.timed && time.Duration(start-j.recordTime) > j.d.rules.MaxUsageAhead {
		j.failf(billing.UsageDateFuture, "usage_date %s is more than %s after the record's timestamp %s", j.day, j.d.rules.MaxUsageAhead, j.recordTime.Time().Format(time.RFC3339))
	}
}

// judgeCurrency reports whether the cost is in USD, which it is if no currency is given.
func (j *judge) judgeCurrency() (inUSD bool) {
	text, kind := j.text(currency)
	if kind == absent || string(text) == "USD" {
		return true
	}
	j.failf(billing.CurrencyUnsupported, "currency is %s", quote(j.d.raw[currency]))
	return false
}

func (j *judge) judgeCost(inUSD bool) {
	raw := j.d.raw[costUSD]
	if isAbsent(raw) {
		j.fail(billing.CostMissing, "every event needs a cost_usd")
		return
	}
	text := raw
	if !isNumber(raw) {
		var kind kind
		if text, kind = j.text(costUSD); kind == other {
			text = nil // not a number
		}
	}
	cost, rounded, err := billing.ParseMoney(string(text))
	switch {
	case err == nil:
		if inUSD {
			j.cost, j.priced, j.rounded = cost, true, rounded
		}
	case errors.Is(err, billing.ErrMoneyRange):
		j.failf(billing.CostOutOfRange, "cost_usd is %s", quote(raw))
	default:
		j.failf(billing.CostInvalid, "cost_usd is %s", quote(raw))
	}
}

func (j *judge) judgeCategory() {
	text, kind := j.text(chargeCategory)
	if kind == absent {
		return
	}
	switch billing.Category(text) {
	case billing.Usage:
		j.category = billing.Usage
	case billing.Purchase:
		j.category = billing.Purchase
	case billing.Tax:
		j.category = billing.Tax
	case billing.Credit:
		j.category = billing.Credit
	case billing.Adjustment:
		j.category = billing.Adjustment
	default:
		j.failf(billing.ChargeCategoryInvalid, "charge_category is %s", quote(j.d.raw[chargeCategory]))
	}
}

// judgeSign applies the tenant's policy on negative costs.
func (j *judge) judgeSign() {
	if !j.priced || j.cost.Sign() >= 0 {
		return
	}
	tenant := j.tenant
	if j.tenantText != nil {
		tenant = billing.TenantID(j.tenantText)
	}
	switch j.d.rules.NegativeFor(tenant) {
	case billing.AllowNegative:
	case billing.LabelledNegative:
		if j.category != billing.Credit && j.category != billing.Adjustment {
			j.failf(billing.CostNegativeUnlabelled, "cost_usd is %s and charge_category is %s", j.cost, quote(j.d.raw[chargeCategory]))
		}
	default:
		j.failf(billing.CostNegative, "cost_usd is %s", j.cost)
	}
}

func (j *judge) judgePeriod() {
	text, kind := j.text(billingPeriod)
	if kind == absent {
		return
	}
	if kind == plain && len(text) == len("2006-01") {
		if _, err := billing.ParseDay(string(text) + "-01"); err == nil {
			j.period = text
			return
		}
	}
	j.failf(billing.BillingPeriodInvalid, "billing_period is %s", quote(j.d.raw[billingPeriod]))
}

// optional returns the text of a member that may be null. An empty text means null.
func (j *judge) optional(m member, invalid billing.Reason) []byte {
	text, kind := j.text(m)
	if kind == absent || kind == plain && len(text) <= billing.MaxIDBytes {
		return text
	}
	j.failf(invalid, "it is %s", quote(j.d.raw[m]))
	return nil
}

// moment reads a member that is a date or a time. given reports whether the member is there, ok whether it
// could be read.
func (j *judge) moment(m member, invalid billing.Reason) (at moment, given, ok bool) {
	text, kind := j.text(m)
	if kind == absent {
		return moment{}, false, false
	}
	if kind == plain {
		if at, ok = parseMoment(text); ok {
			return at, true, true
		}
	}
	j.failf(invalid, "it is %s", quote(j.d.raw[m]))
	return moment{}, true, false
}

// kind is the kind of a member's value.
type kind uint8

const (
	absent kind = iota // none, or null
	plain              // a string
	other              // any other value, or a string that is not valid UTF-8
)

// text returns the unescaped text of a string member. It is valid until the next record.
func (j *judge) text(m member) ([]byte, kind) {
	raw := j.d.raw[m]
	switch {
	case isAbsent(raw):
		return nil, absent
	case raw[0] != '"' || j.salvaging && !wellFormed(raw):
		return nil, other
	default:
		return j.d.unquote(raw), plain
	}
}

func isAbsent(raw []byte) bool { return raw == nil || raw[0] == 'n' }

func isNumber(raw []byte) bool { return raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9' }

// identifier reports whether text has the length of an identifier.
func identifier(text []byte) bool { return 1 <= len(text) && len(text) <= billing.MaxIDBytes }

// hasControl reports whether text holds a character of Unicode's category Cc: U+0000 to U+001F and U+007F to
// U+009F.
func hasControl(text []byte) bool {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	// Eight bytes at a time: none of those characters is in printable ASCII.
	for len(text) >= 8 {
		w := binary.LittleEndian.Uint64(text)
		if ((w-ones*' ')|(w+ones)|w)&highs != 0 {
			break
		}
		text = text[8:]
	}
	for i, c := range text {
		if c < 0x20 || c == 0x7F || c == 0xC2 && i+1 < len(text) && text[i+1] < 0xA0 {
			return true
		}
	}
	return false
}

// integer reads a JSON number that is an integer from 0 to 2^63 - 1 in any notation (2, 2.0, 20e-1).
func integer(raw []byte) (int64, bool) {
	if !isNumber(raw) {
		return 0, false
	}
	m, rounded, err := billing.ParseMoney(string(raw))
	if err != nil || rounded || m.Sign() < 0 {
		return 0, false
	}
	const unit = 1_000_000_000_000_000_000 // 10^billing.Scale
	hi, lo := m.Parts()
	if uint64(hi) >= unit/2 { // 2^63 units and more
		return 0, false
	}
	n, rest := bits.Div64(uint64(hi), lo, unit)
	return int64(n), rest == 0
}

// quote quotes the first bytes of a JSON text in ASCII.
func quote(raw []byte) string {
	if raw == nil {
		return "absent"
	}
	if len(raw) <= maxQuoted {
		return strconv.QuoteToASCII(string(raw))
	}
	cut := raw[:maxQuoted]
	for len(cut) > maxQuoted-utf8.UTFMax && !utf8.RuneStart(raw[len(cut)]) {
		cut = cut[:len(cut)-1]
	}
	return strconv.QuoteToASCII(string(cut)) + "..."
}

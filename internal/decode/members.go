package decode

import (
	"bytes"
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"daybook/internal/billing"
)

// member is a member of the event that Daybook models.
type member uint8

const (
	eventID member = iota
	accountID
	serviceName
	usageDate
	usageStart
	costUSD
	ingestedAt
	ingestionDate
	sourceRevision
	region
	pricingModel
	tenantID
	chargeCategory
	billingPeriod
	currency
	op
	memberCount
	unmodelled = memberCount
)

// memberOf returns the member with a name. Case matters.
func memberOf(name []byte) member {
	switch string(name) {
	case "event_id":
		return eventID
	case "account_id":
		return accountID
	case "service_name":
		return serviceName
	case "usage_date":
		return usageDate
	case "usage_start":
		return usageStart
	case "cost_usd":
		return costUSD
	case "ingested_at":
		return ingestedAt
	case "ingestion_date":
		return ingestionDate
	case "source_revision":
		return sourceRevision
	case "region":
		return region
	case "pricing_model":
		return pricingModel
	case "tenant_id":
		return tenantID
	case "charge_category":
		return chargeCategory
	case "billing_period":
		return billingPeriod
	case "currency":
		return currency
	case "op":
		return op
	default:
		return unmodelled
	}
}

// members are the JSON texts of the modelled members, nil if absent. They point into the record.
type members [memberCount][]byte

// extra is a member that Daybook does not model: its unescaped name and the JSON text of its value.
type extra struct{ name, value []byte }

// byteOrderMarks are the byte order marks of UTF-8 and UTF-16.
var byteOrderMarks = [...]string{"\xEF\xBB\xBF", "\xFE\xFF", "\xFF\xFE"}

// fault is why a scan of the JSON stopped.
type fault uint8

const (
	sound fault = iota
	broken
	notObject
	duplicateKey
	tooDeep
	trailing
)

// read finds the members of the object in value, reports the first fault of its JSON to j, and returns whether
// it read the object to its end. If the JSON has a fault, the members are those that a lenient scan finds.
func (d *Decoder) read(value []byte, j *judge) (whole bool) {
	for _, mark := range byteOrderMarks {
		if bytes.HasPrefix(value, []byte(mark)) {
			j.fail(billing.JSONByteOrderMark, "the value must be UTF-8 without a byte order mark")
			d.clear()
			return false
		}
	}
	if d.plain = !d.noFastPath && d.scanPlain(value); d.plain {
		return true
	}
	at, fault := d.scan(value, false)
	switch fault {
	case sound:
		return true
	case notObject:
		j.fail(billing.JSONNotObject, "the value must be a JSON object")
		return false
	}
	j.salvaging = true
	lenientAt, lenient := d.scan(value, true)
	reason := billing.JSONSyntax
	switch {
	case fault == tooDeep || depth(value[:at]) > MaxDepth: // before the other fault
		reason = billing.JSONTooDeep
	case fault == trailing:
		reason = billing.JSONTrailingData
	case fault == duplicateKey:
		reason = billing.JSONDuplicateKey
	case lenient != broken || lenientAt > at: // the only other fault that a lenient scan accepts
		reason = billing.JSONInvalidUTF8
	}
	j.failf(reason, "at byte %d of %d", at, len(value))
	return lenient != broken && lenient != notObject
}

// scan reads the object's members into d.raw and d.extra with the JSON library. If there is a fault, at is the
// number of bytes before it, and the members before it are kept.
//
// A lenient scan accepts duplicate keys, invalid UTF-8 and any depth. It keeps neither of two values of a
// modelled member, because either may be the one that is meant.
func (d *Decoder) scan(value []byte, lenient bool) (at int, f fault) {
	d.clear()
	d.input = *bytes.NewBuffer(value)
	if lenient {
		d.json.Reset(&d.input, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	} else {
		d.json.Reset(&d.input)
	}
	if d.json.PeekKind() != '{' {
		if _, err := d.json.ReadValue(); err != nil {
			return faultOf(err, len(value))
		}
		return 0, notObject
	}
	if _, err := d.json.ReadToken(); err != nil {
		return faultOf(err, len(value))
	}
	var seen [memberCount]bool
	for d.json.PeekKind() == '"' {
		name, err := d.json.ReadValue()
		if err != nil {
			return faultOf(err, len(value))
		}
		// The decoder's slices are valid until its next call only, so they are replaced by the same parts of value.
		end := int(d.json.InputOffset())
		name = d.unquote(value[end-len(name) : end])
		text, err := d.json.ReadValue()
		if err != nil {
			return faultOf(err, len(value))
		}
		end = int(d.json.InputOffset())
		text = value[end-len(text) : end : end]
		if !lenient && (text[0] == '{' || text[0] == '[') && 1+depth(text) > MaxDepth {
			return end, tooDeep
		}
		m := memberOf(name)
		if m == unmodelled {
			d.extra = append(d.extra, extra{name, text})
			continue
		}
		d.raw[m] = text
		if seen[m] {
			d.raw[m] = nil
		}
		seen[m] = true
	}
	if _, err := d.json.ReadToken(); err != nil {
		return faultOf(err, len(value))
	}
	for at = int(d.json.InputOffset()); at < len(value); at++ {
		if c := value[at]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return at, trailing
		}
	}
	return at, sound
}

// clear removes the members of the previous record.
func (d *Decoder) clear() {
	d.raw, d.plain = members{}, false
	clear(d.extra) // it points into a record that may be large
	d.extra = d.extra[:0]
	clear(d.names)
	d.names = d.names[:0]
	d.buffer = d.buffer[:0]
}

// unquote returns the text of a JSON string, valid until the next record. Invalid UTF-8 is replaced by U+FFFD.
func (d *Decoder) unquote(quoted []byte) []byte {
	if text := quoted[1 : len(quoted)-1]; d.plain || bytes.IndexByte(text, '\\') < 0 {
		return text
	}
	start := len(d.buffer)
	// The only possible error is invalid UTF-8, which a strict scan rejects.
	d.buffer, _ = jsontext.AppendUnquote(d.buffer, quoted)
	return d.buffer[start:len(d.buffer):len(d.buffer)]
}

// wellFormed reports whether a JSON string that a lenient scan accepted is valid UTF-8 without half surrogate
// pairs.
func wellFormed(quoted []byte) bool {
	if !utf8.Valid(quoted) {
		return false
	}
	_, err := jsontext.AppendUnquote(nil, quoted)
	return err == nil
}

func compareExtra(x, y extra) int { return bytes.Compare(x.name, y.name) }

// appendAttributes appends the object of the members that are not modelled, if there are any: names in
// ascending order, escaped as little as possible, and values verbatim.
func (d *Decoder) appendAttributes(b []byte) []byte {
	if len(d.extra) == 0 {
		return b
	}
	if !d.plain { // else scanPlain has sorted them
		slices.SortFunc(d.extra, compareExtra)
	}
	b = append(b, '{')
	for i, x := range d.extra {
		if i > 0 {
			b = append(b, ',')
		}
		if d.plain {
			b = append(append(append(b, '"'), x.name...), '"')
		} else {
			b, _ = jsontext.AppendQuote(b, x.name) // no error: names are valid UTF-8
		}
		b = append(append(b, ':'), x.value...)
	}
	return append(b, '}')
}

// faultOf returns the fault that the library's error reports and the number of bytes before it, at most size.
func faultOf(err error, size int) (at int, f fault) {
	at, f = size, broken
	if syntactic := (*jsontext.SyntacticError)(nil); errors.As(err, &syntactic) {
		at = min(int(syntactic.ByteOffset), size)
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		f = duplicateKey
	}
	return at, f
}

// depth returns how deep objects and arrays nest in a JSON text or a prefix of one.
func depth(text []byte) (deepest int) {
	for i, now := 0, 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			now++
			deepest = max(deepest, now)
		case '}', ']':
			now--
		}
	}
	return deepest
}

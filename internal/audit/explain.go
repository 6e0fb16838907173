package audit

import "time"

// Explanation is the totals and the records of an account-day.
type Explanation struct {
	AccountDay
	Total    string           `json:"total_usd"`
	Complete bool             `json:"data_complete"`
	Events   []ExplainedEvent `json:"events"`
	Withheld []ExplainedEvent `json:"withheld,omitempty"`
}

// ExplainedEvent is a winner or a withheld record, with its position in the log.
type ExplainedEvent struct {
	Event      string `json:"event_id,omitempty"`
	Service    string `json:"service_name,omitempty"`
	Cost       string `json:"cost_usd,omitempty"`
	IngestedAt string `json:"ingested_at"`
	Topic      string `json:"topic"`
	Partition  int32  `json:"partition"`
	Offset     int64  `json:"offset"`
	Fault      string `json:"fault,omitempty"` // of a withheld record
}

// explanation returns the requested explanation of an account; nil if there is none.
func (d *dayAudit) explanation(account string) *Explanation {
	for i := range d.report.Explained {
		if x := &d.report.Explained[i]; x.Day == d.day && x.Account == account {
			return x
		}
	}
	return nil
}

// explain adds a record to an explanation.
func (d *dayAudit) explain(x *Explanation, e entry) {
	out := ExplainedEvent{
		Event: e.id, Service: e.service, IngestedAt: time.Unix(0, e.ingestedAt).UTC().Format(time.RFC3339Nano),
		Topic: d.topics[e.source.Topic], Partition: e.source.Partition, Offset: e.source.Offset, Fault: e.fault,
	}
	if e.withheld {
		x.Withheld = append(x.Withheld, out)
		return
	}
	out.Cost = dollars(e.cost)
	x.Events = append(x.Events, out)
}

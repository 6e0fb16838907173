package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// The usage week of the demonstration, and the times as of which it is published.
const (
	weekFrom = "2025-01-01"
	weekTo   = "2025-01-07"

	correctedDay = "2025-01-03"

	firstAsOf  = "2025-01-08T02:00:00Z" // the cutoff of the week's last day
	secondAsOf = "2025-01-09T02:00:00Z" // the next night
)

// charge is a billing event as a producer writes it.
type charge struct {
	ID         string `json:"event_id"`
	Account    string `json:"account_id,omitempty"`
	Service    string `json:"service_name"`
	Day        string `json:"usage_date"`
	Cost       string `json:"cost_usd"`
	Region     string `json:"region,omitempty"`
	IngestedAt string `json:"ingested_at"`
}

// chargeSeries is the daily cost of one service in one account.
type chargeSeries struct {
	account, service, region string
	costs                    [7]string
}

// weekCharges total 15 and 7 dollars on the first day.
var weekCharges = []chargeSeries{
	{"acct-001", "compute", "us-east-1", [7]string{"10.0", "11.25", "9.8", "12.4", "10.1", "4.2", "3.95"}},
	{"acct-001", "storage", "us-east-1", [7]string{"5.0", "5.0", "5.05", "5.05", "5.1", "5.1", "5.1"}},
	{"acct-002", "compute", "eu-west-1", [7]string{"7.0", "6.75", "7.3", "8.1", "7.9", "2.6", "2.45"}},
}

// id is the event id of the charge of a day of the week, from 1.
func (s *chargeSeries) id(day int) string {
	return fmt.Sprintf("evt-%s-%s-2025010%d", s.account, s.service, day)
}

// week is the content of the topic: every charge once, a repeated charge, an estimate that arrives after the charge
// that replaces it, and a record without an account.
func week() []charge {
	var all []charge
	for i := range weekCharges {
		s := &weekCharges[i]
		for day, cost := range s.costs {
			all = append(all, charge{
				ID: s.id(day + 1), Account: s.account, Service: s.service, Region: s.region,
				Day: fmt.Sprintf("2025-01-0%d", day+1), Cost: cost, IngestedAt: fmt.Sprintf("2025-01-0%dT23:30:00Z", day+1),
			})
		}
	}
	again := all[1]
	estimate := all[4]
	estimate.Cost, estimate.IngestedAt = "99.99", estimate.Day+"T06:00:00Z"
	nobody := all[6]
	nobody.ID, nobody.Account = "evt-without-account", ""
	return append(all, again, estimate, nobody)
}

// correction is the late correction of one charge of correctedDay, and its previous cost.
func correction() (c charge, before string) {
	s := &weekCharges[0]
	return charge{
		ID: s.id(3), Account: s.account, Service: s.service, Region: s.region,
		Day: correctedDay, Cost: "8.3", IngestedAt: "2025-01-08T09:00:00Z",
	}, s.costs[2]
}

// jsonLines writes charges as a producer's file.
func jsonLines(charges ...charge) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	for _, c := range charges {
		if err := e.Encode(c); err != nil {
			panic(err) // strings always encode
		}
	}
	return b.Bytes()
}

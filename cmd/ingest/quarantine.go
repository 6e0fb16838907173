package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"daybook/internal/billing"
	"daybook/internal/cli"
	"daybook/internal/ingest"
	"daybook/internal/state"
)

type quarantineCommand struct {
	List    quarantineListCommand    `cmd:"" help:"List quarantined records."`
	Show    quarantineShowCommand    `cmd:"" help:"Show one record with its bytes."`
	Export  quarantineExportCommand  `cmd:"" help:"Write records with their bytes as JSON lines."`
	Resolve quarantineResolveCommand `cmd:"" help:"Resolve records: they no longer make account-days incomplete. This is a recorded decision."`
	Retry   quarantineRetryCommand   `cmd:"" help:"Apply looser rules to all records and adopt these rules. No ingest may run."`
}

// selection selects quarantined records.
type selection struct {
	Tenant billing.TenantID       `help:"Only of this tenant."`
	Reason billing.Reason         `help:"Only with this reason."`
	Status state.QuarantineStatus `help:"Only with this status: open, superseded or resolved."`
}

// has reports whether q is selected.
func (s *selection) has(q *state.Quarantined) bool {
	return (s.Tenant == "" || q.Rejection.Tenant == s.Tenant) &&
		(s.Reason == "" || q.Rejection.Reason == s.Reason) &&
		(s.Status == "" || q.Status == s.Status)
}

// printedRecord is a quarantined record in the form in which it is printed.
type printedRecord struct {
	Record      string                 `json:"record"` // TOPIC/PARTITION/OFFSET
	Status      state.QuarantineStatus `json:"status"`
	Decision    uint64                 `json:"decision,omitempty"`
	Reason      billing.Reason         `json:"reason"`
	Detail      string                 `json:"detail"`
	Tenant      billing.TenantID       `json:"tenant,omitempty"`
	Event       billing.EventID        `json:"event_id,omitempty"`
	Account     billing.AccountID      `json:"account_id,omitempty"`
	Day         string                 `json:"usage_date,omitempty"`
	Cost        *billing.Money         `json:"cost_usd,omitempty"`
	ArrivedAt   time.Time              `json:"arrived_at"`
	Size        int                    `json:"bytes"`
	Key         *string                `json:"key,omitempty"`
	KeyBase64   string                 `json:"key_base64,omitempty"`
	Value       *string                `json:"value,omitempty"`
	ValueBase64 string                 `json:"value_base64,omitempty"`
}

// newPrintedRecord converts q for printing, with its bytes if withBytes.
func newPrintedRecord(id state.Identity, q *state.Quarantined, withBytes bool) printedRecord {
	r := &q.Rejection
	h := printedRecord{
		Record: place(id, q.Source), Status: q.Status, Decision: q.Decision, Reason: r.Reason, Detail: r.Detail,
		Tenant: r.Tenant, Event: r.Event, Account: r.Account, ArrivedAt: q.ArrivedAt.UTC(), Size: q.Size,
	}
	if r.HasDay {
		h.Day = r.Day.String()
	}
	if r.HasCost {
		h.Cost = &r.Cost
	}
	if withBytes {
		h.Key, h.KeyBase64 = text(q.Key)
		h.Value, h.ValueBase64 = text(q.Value)
	}
	return h
}

// text returns b as a string if it is valid UTF-8, else as base64.
func text(b []byte) (*string, string) {
	switch {
	case b == nil:
		return nil, ""
	case utf8.Valid(b):
		s := string(b)
		return &s, ""
	}
	return nil, base64.StdEncoding.EncodeToString(b)
}

// place formats the position of a record as TOPIC/PARTITION/OFFSET.
func place(id state.Identity, src billing.Source) string {
	return fmt.Sprintf("%s/%d/%d", id.Topics[src.Topic].Name, src.Partition, src.Offset)
}

// parsePlace parses the result of place.
func parsePlace(id state.Identity, s string) (billing.Source, error) {
	parts := strings.Split(s, "/")
	if len(parts) == 3 {
		partition, err1 := strconv.ParseInt(parts[1], 10, 32)
		offset, err2 := strconv.ParseInt(parts[2], 10, 64)
		for _, t := range id.Topics {
			if t.Name == parts[0] && err1 == nil && err2 == nil {
				return billing.Source{Topic: t.Ordinal, Partition: int32(partition), Offset: offset}, nil
			}
		}
	}
	return billing.Source{}, cli.Usagef("%q is not a record of the state: write TOPIC/PARTITION/OFFSET as `ingest quarantine list` does", s)
}

type quarantineListCommand struct {
	stateFlag
	selection
	Limit int  `help:"Most records to list; 0: all." default:"100"`
	JSON  bool `name:"json" help:"Print JSON."`
}

// Run lists the records in log order.
func (l *quarantineListCommand) Run(c *cli.Context) error {
	list, more := []printedRecord{}, 0
	err := stateDir(c, l.State).View(c, func(r *state.Reader) error {
		for q, err := range r.Quarantine(false) {
			if err != nil {
				return err
			}
			if !l.has(q) {
				continue
			}
			if l.Limit > 0 && len(list) >= l.Limit {
				more++
				continue
			}
			list = append(list, newPrintedRecord(r.Identity(), q, false))
		}
		return nil
	})
	if err != nil {
		return exit(err)
	}
	if l.JSON {
		return cli.JSON(c.Stdout, list)
	}
	rows := make([][]string, 0, len(list))
	for _, h := range list {
		cost := ""
		if h.Cost != nil {
			cost = c.Amount(*h.Cost)
		}
		rows = append(rows, []string{h.Record, string(h.Status), string(h.Reason), string(h.Tenant), string(h.Account), h.Day, string(h.Event), cost})
	}
	if err := cli.Table(c.Stdout, []string{"RECORD", "STATUS", "REASON", "TENANT", "ACCOUNT", "DAY", "EVENT", ">PARSED AMOUNT USD"}, rows); err != nil {
		return err
	}
	if more > 0 {
		fmt.Fprintf(c.Stdout, "and %d more; --limit 0 lists all\n", more)
	}
	return nil
}

type quarantineShowCommand struct {
	stateFlag
	Record string `arg:"" help:"TOPIC/PARTITION/OFFSET."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run prints one record.
func (s *quarantineShowCommand) Run(c *cli.Context) error {
	var h printedRecord
	err := stateDir(c, s.State).View(c, func(r *state.Reader) error {
		src, err := parsePlace(r.Identity(), s.Record)
		if err != nil {
			return err
		}
		q, ok, err := r.QuarantinedRecord(src)
		if err == nil && !ok {
			err = fmt.Errorf("%s is not in quarantine: `ingest quarantine list` lists all records", s.Record)
		}
		if err != nil {
			return err
		}
		h = newPrintedRecord(r.Identity(), q, true)
		return nil
	})
	if err != nil {
		return exit(err)
	}
	if s.JSON {
		return cli.JSON(c.Stdout, h)
	}
	document, err := json.Marshal(h)
	if err != nil {
		return err
	}
	var members map[string]any
	if err := json.Unmarshal(document, &members); err != nil {
		return err
	}
	var rows [][]string
	for _, name := range []string{"record", "status", "decision", "reason", "detail", "tenant", "event_id", "account_id", "usage_date", "cost_usd",
		"arrived_at", "bytes", "key", "key_base64", "value", "value_base64"} {
		if v, ok := members[name]; ok {
			rows = append(rows, []string{name, fmt.Sprint(v)})
		}
	}
	return cli.Table(c.Stdout, []string{"FIELD", "VALUE"}, rows)
}

type quarantineExportCommand struct {
	stateFlag
	selection
	Output string `short:"o" help:"File to write, new; default: standard output." placeholder:"FILE"`
}

// Run writes the records.
func (e *quarantineExportCommand) Run(c *cli.Context) error {
	write := func(w io.Writer) (n int, err error) {
		lines := json.NewEncoder(w)
		lines.SetEscapeHTML(false)
		err = stateDir(c, e.State).View(c, func(r *state.Reader) error {
			for q, err := range r.Quarantine(true) {
				if err != nil {
					return err
				}
				if !e.has(q) {
					continue
				}
				if err := lines.Encode(newPrintedRecord(r.Identity(), q, true)); err != nil {
					return err
				}
				n++
			}
			return nil
		})
		return n, err
	}
	if e.Output == "" {
		_, err := write(c.Stdout)
		return exit(err)
	}
	f, err := os.OpenFile(e.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := write(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return exit(err)
	}
	fmt.Fprintf(c.Stdout, "wrote %d records to %s\n", n, e.Output)
	return nil
}

type quarantineResolveCommand struct {
	stateFlag
	deciderFlags
	selection
	All    bool     `help:"All open records that --tenant and --reason select."`
	Record []string `arg:"" optional:"" help:"TOPIC/PARTITION/OFFSET."`
}

// Run resolves the records in one decision.
func (s *quarantineResolveCommand) Run(c *cli.Context) error {
	if s.All == (len(s.Record) > 0) {
		return cli.Usagef("name the records to resolve, or --all with --reason or --tenant")
	}
	d := state.Decision{Kind: state.QuarantineSettled, Who: s.Who, Why: s.Why, Tenant: s.Tenant}
	err := stateDir(c, s.State).View(c, func(r *state.Reader) error {
		for _, name := range s.Record {
			src, err := parsePlace(r.Identity(), name)
			if err != nil {
				return err
			}
			d.Records = append(d.Records, src)
		}
		if !s.All {
			return nil
		}
		for q, err := range r.Quarantine(false) {
			if err != nil {
				return err
			}
			if q.Status == state.QuarantineOpen && s.has(q) {
				d.Records = append(d.Records, q.Source)
			}
		}
		return nil
	})
	if err != nil {
		return exit(err)
	}
	if len(d.Records) == 0 {
		fmt.Fprintln(c.Stdout, "nothing to resolve")
		return nil
	}
	n, err := stateDir(c, s.State).Decide(c, d)
	if err != nil {
		return exit(err)
	}
	fmt.Fprintf(c.Stdout, "decision %d: %d records resolved\n", n, len(d.Records))
	return nil
}

type quarantineRetryCommand struct {
	stateFlag
	deciderFlags
	Rules ingest.RulesConfig `embed:""`
}

// Run applies the looser rules to all records.
func (r *quarantineRetryCommand) Run(c *cli.Context) error {
	applied, err := ingest.Retry(r.State, r.Rules, r.Who, r.Why, deps(c))
	if err != nil {
		return exit(err)
	}
	accepted := int64(0)
	for o, n := range applied.Outcomes {
		if billing.Outcome(o) != billing.Quarantined {
			accepted += n
		}
	}
	fmt.Fprintf(c.Stdout, "%d records accepted, %d account-days changed; the rules are adopted\n", accepted, applied.Dirty)
	return nil
}

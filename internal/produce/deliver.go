package produce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/go-json-experiment/json/jsontext"

	"daybook/internal/billing"
	"daybook/internal/decode"
	"daybook/internal/delivery"
)

// DeliveryConfig is the relation of a load to earlier loads of its source.
type DeliveryConfig struct {
	Dir       string           `name:"deliveries" help:"Directory that remembers which event ids each source has delivered: tables are then refused where they would count days twice." env:"DAYBOOK_DELIVERIES" placeholder:"DIR" group:"Deliveries:"`
	Replaces  *delivery.Window `help:"The files are the complete content of the source for these usage dates, as of --exported-at: events that it delivered for them before and that are missing now are deleted." placeholder:"FROM..TO" group:"Deliveries:"`
	Append    bool             `help:"The files come beside what the source has delivered; nothing is deleted." group:"Deliveries:"`
	Source    string           `help:"Name of what delivers. Default: the format, after the name of --tenant if it is given." placeholder:"NAME" group:"Deliveries:"`
	Trust     bool             `name:"trust-deliveries" help:"Take --deliveries for the newest although retention has removed records of the topic that would prove it. A load that the topic still has, and the directory does not know, is refused all the same." group:"Deliveries:"`
	MaxShrink int64            `name:"max-shrink-percent" help:"Percent by which the events of the days of --replaces may become fewer; else the load is refused before anything is pushed." default:"50" placeholder:"PERCENT" group:"Deliveries:"`
}

// Delivery is the index of deliveries that a load uses.
type Delivery struct {
	DeliveryConfig
	Topic   string
	TopicID string // empty if it is unknown
	DryRun  bool   // compare with the index and do not change it
	Log     Topic  // proves that the index is the newest; not used in a dry run
}

// Validate returns all faults in one error.
func (c *DeliveryConfig) Validate(load *Config) error {
	var faults []error
	fault := func(bad bool, text string) {
		if bad {
			faults = append(faults, errors.New(text))
		}
	}
	fault(c.Replaces != nil && c.Append, "--replaces and --append contradict each other: give one")
	fault(c.Replaces != nil && c.Dir == "", "--replaces needs --deliveries DIR, which remembers what there is to replace")
	fault(c.Replaces != nil && load.ExportedAt == "", "--replaces needs --exported-at: of two deliveries the one that was exported later holds")
	fault(c.Replaces != nil && load.BadRows == PushBadRows, "--replaces and --bad-rows push contradict each other: what a bad row replaces is not known")
	fault(c.Source != "" && !delivery.ValidSource(c.Source), fmt.Sprintf("--source: %q is not 1 to 64 of A-Z a-z 0-9 _ . - without a leading dot", c.Source))
	fault(c.MaxShrink < 0 || c.MaxShrink > 100, "--max-shrink-percent must be 0 to 100")
	return errors.Join(faults...)
}

// keeps reports whether a load of files in these formats is recorded in the index. JSON lines are events with
// versions of their own; they are recorded only on request.
func (d *Delivery) keeps(formats map[Format]bool) bool {
	if d == nil || d.Dir == "" {
		return false
	}
	return d.Replaces != nil || d.Append || len(formats) > 1 || !formats[JSONLines]
}

// fits refuses a load that would count twice if its provider delivers it again.
func (d *Delivery) fits(format Format, c *Config) error {
	unstable := format == CUR || format == FOCUS || len(c.EventID) > 0
	if d == nil || d.DryRun || d.Dir != "" || d.Append || !unstable {
		return nil
	}
	return errors.New("providers deliver a period again and again, with other ids: add --deliveries DIR, which remembers them, or --append to push this beside whatever is there")
}

// source is the name of the deliverer.
func (d *Delivery) source(formats map[Format]bool, tenant string) (string, error) {
	if d.Source != "" {
		return d.Source, nil
	}
	if len(formats) != 1 {
		return "", errors.New("the files have several formats: name what delivers them, --source NAME")
	}
	for f := range formats {
		if tenant != "" {
			return tenant + "." + string(f), nil
		}
		return string(f), nil
	}
	return "", nil
}

// deliver pushes a recorded load: it reads the ids of the files, compares them with the ids that the source has
// delivered, pushes the rows, and after their acknowledgement the deletions. It pushes nothing of a refused load.
func (l *Load) deliver(ctx context.Context, now time.Time, ids *ordinals, sum *Summary) (err error) {
	d := l.Delivery
	if err := d.Validate(&l.Config); err != nil {
		return err
	}
	source, err := d.source(l.formats, l.Config.Tenant)
	if err != nil {
		return err
	}
	index, err := delivery.Open(d.Dir, d.Topic, d.TopicID, source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	if err := d.checkNewest(ctx, index); err != nil {
		return fmt.Errorf("%w; nothing was pushed", err)
	}
	l.total *= 2
	s := survey{load: l, now: now, decoder: decode.New(surveyRules()), ids: index.Sorter()}
	if err := s.read(ctx, ids, sum); err != nil {
		return err
	}
	load := delivery.Load{Mode: delivery.First, MaxShrinkPercent: d.MaxShrink, ID: delivery.NewLoadID()}
	mark := delivery.Mark{Source: source, Load: load.ID}
	switch {
	case d.Append:
		load.Mode = delivery.Append
	case d.Replaces != nil:
		load.Mode, load.Window, load.At = delivery.Replace, *d.Replaces, s.exportedAt
		mark.Replaces, mark.At = d.Replaces, s.exportedAt
	}
	if l.mark, err = json.Marshal(mark); err != nil {
		return err
	}
	plan, err := index.Plan(load, s.ids)
	if err != nil {
		return fmt.Errorf("%w; nothing was pushed", err)
	}
	if !d.DryRun {
		if err := plan.Begin(); err != nil {
			return err
		}
	}
	if err := finish(ctx, l.Sink, l.pushPlanned(ctx, &s, ids, plan, sum)); err != nil {
		return err
	}
	if err := d.checkStillNewest(ctx, index); err != nil {
		return fmt.Errorf("%w; nothing was deleted", err)
	}
	if err := finish(ctx, l.Sink, l.pushDeletes(ctx, plan, sum)); err != nil || d.DryRun {
		return err
	}
	if err := d.checkStillNewest(ctx, index); err != nil {
		return err
	}
	return plan.Finish()
}

// pushPlanned pushes the rows of the plan, and checks that they are the compared rows.
func (l *Load) pushPlanned(ctx context.Context, s *survey, ids *ordinals, plan *delivery.Plan, sum *Summary) error {
	digest := xxhash.New()
	push := l.pushing(ctx, sum)
	event := push.event
	push.event = func(file string, r row, id string, text []byte, dated bool) error {
		write(digest, id, text)
		if len(plan.Newer) > 0 {
			entry, _ := place(s.decoder, &s.event, s.now, text) // the first pass has placed it
			if _, newer := plan.Newer[entry.Day]; newer {
				sum.Newer++
				return nil
			}
		}
		return event(file, r, id, text, dated)
	}
	*sum = Summary{}
	if err := l.each(ctx, ids, sum, push); err != nil {
		return err
	}
	if digest.Sum64() != s.digest.Sum64() {
		return errors.New("the files changed while they were read: nothing is deleted: run produce --rebuild-deliveries, which records the pushed rows, then load the files again")
	}
	return nil
}

// pushDeletes pushes a deletion for each id that the delivery no longer has.
func (l *Load) pushDeletes(ctx context.Context, plan *delivery.Plan, sum *Summary) error {
	var block arena
	var scratch []byte
	for e, err := range plan.Deletes() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		scratch = appendDelete(scratch[:0], &e, l.Config.ExportedAt)
		if err := l.push(ctx, block.copy([]byte(e.ID())), block.copy(scratch), sum); err != nil {
			return err
		}
		sum.Deleted++
	}
	return nil
}

// appendDelete appends the event that deletes an id as of a time. It names no tenant if the deleted event may have
// named none.
func appendDelete(dst []byte, e *delivery.Entry, at string) []byte {
	member := func(name, text string) {
		dst = append(append(append(dst, '"'), name...), `":`...)
		dst, _ = jsontext.AppendQuote(dst, text) // parsed ids and times are UTF-8
		dst = append(dst, ',')
	}
	dst = append(dst, '{')
	member(fieldEventID, string(e.ID()))
	if t := e.Tenant(); t != billing.DefaultTenant {
		member(fieldTenant, string(t))
	}
	member(fieldIngestedAt, at)
	return append(dst, `"op":"delete"}`...)
}

// survey is the first reading of the files, which collects the ids of a load.
type survey struct {
	load       *Load
	now        time.Time
	decoder    *decode.Decoder
	ids        *delivery.Sorter
	digest     *xxhash.Digest // of all events, in order
	exportedAt billing.Instant
	event      billing.Event
}

// surveyRules accept everything that some state might accept: the ids of a load must not depend on the rules of a
// state.
func surveyRules() billing.Rules {
	r := billing.DefaultRules()
	r.DefaultNegative = billing.AllowNegative
	r.MaxUsageAhead, r.MaxIngestedAhead = 3660*24*time.Hour, 3660*24*time.Hour
	return r
}

// read reads the files. Every row of a load that replaces must belong to one of its days. Other rows are reported, and
// the load is refused.
func (s *survey) read(ctx context.Context, ids *ordinals, sum *Summary) error {
	l := s.load
	s.digest = xxhash.New()
	if l.Config.ExportedAt != "" {
		t, err := exportTime(l.Config.ExportedAt)
		if err != nil {
			return err
		}
		s.exportedAt, _ = billing.InstantOf(t) // Validate has checked it
	}
	window := l.Delivery.Replaces
	var found Summary
	err := l.each(ctx, ids, &found, rowHandler{
		event: func(_ string, _ row, id string, text []byte, _ bool) error {
			write(s.digest, id, text)
			entry, err := place(s.decoder, &s.event, s.now, text)
			switch {
			case err == nil && entry.Deleted:
				return nil // the row has no id
			case window != nil && err != nil:
				return fmt.Errorf("%w: it cannot be placed in %s: %w", errBadRow, window, err)
			case err != nil:
				return nil // it is pushed, and ingest quarantines it
			case window != nil && !window.Contains(entry.Day):
				return fmt.Errorf("%w: its usage date %s is outside --replaces %s", errBadRow, entry.Day, window)
			}
			return s.ids.Add(entry)
		},
		bad: func(file string, r row, cause error) error {
			if window == nil || l.OnBadRow == nil {
				return nil
			}
			return l.OnBadRow(newBadRow(file, r, cause))
		},
	})
	if err == nil && window != nil && found.BadRows > 0 {
		*sum = found
		err = fmt.Errorf("%d of %d rows are not valid for %s: nothing was pushed; fix them, or change --replaces", found.BadRows, found.Rows, window)
	}
	return err
}

// place decodes an event as ingest does. A deletion has a Deleted entry without a day. The entry owns its strings.
func place(decoder *decode.Decoder, e *billing.Event, pushed time.Time, event []byte) (delivery.Entry, error) {
	record := decode.Record{Source: billing.Source{RecordTime: pushed.UnixMilli()}, Value: event}
	if _, rejection := decoder.Decode(record, e); rejection != nil {
		if rejection.Tenant == "" || rejection.Event == "" || !rejection.HasDay {
			return delivery.Entry{}, rejection
		}
		// Ingest quarantines the event, and looser rules may accept it later.
		return delivery.NewEntry(rejection.Tenant, rejection.Event, rejection.Day, rejection.Version.IngestedAt), nil
	}
	entry := delivery.NewEntry(e.Tenant, e.ID, e.Day, e.Version.IngestedAt)
	entry.Deleted = e.Op == billing.Delete
	return entry, nil
}

// write adds an event to a digest.
func write(d *xxhash.Digest, id string, event []byte) {
	_, _ = d.WriteString(id) // never fails
	_, _ = d.Write(event)
}

// exported returns the export time of the load for every row, and refuses a row that is newer.
func (c *Config) exported(own value) value {
	return func(cells []string) (string, error) {
		text, err := own(cells)
		if err == nil {
			err = c.notNewer(text)
		}
		return c.ExportedAt, err
	}
}

// notNewer refuses a row whose own time is later than the export.
func (c *Config) notNewer(text string) error {
	if text == "" || text == c.ExportedAt {
		return nil
	}
	own, err := exportTime(text)
	if err != nil {
		return nil // its own time is not used
	}
	exported, err := exportTime(c.ExportedAt)
	if err == nil && own.After(exported) {
		return fmt.Errorf("%w: its ingested_at %s is later than --exported-at %s", errBadRow, text, c.ExportedAt)
	}
	return nil
}

package lake

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"daybook/internal/billing"
	"daybook/internal/disk"
)

// ManifestFormat is the version of the manifest and of the files that it lists.
const ManifestFormat = 1

// File is one file of a release, as the manifest lists it.
type File struct {
	Path    string         `json:"path"` // relative to the release's directory, with slashes
	Dataset Dataset        `json:"dataset"`
	Day     *billing.Day   `json:"usage_date,omitempty"` // nil: the dataset is not split by day
	Rows    int64          `json:"rows"`
	Bytes   int64          `json:"bytes"`
	SHA256  string         `json:"sha256"`
	Sum     *billing.Money `json:"sum_usd,omitempty"` // of the dataset's money column; nil for dimensions
	// First and Last are the least and the greatest account in a file of a day.
	First billing.AccountID `json:"first_account,omitempty"`
	Last  billing.AccountID `json:"last_account,omitempty"`
	// Of a file of events: the distinct regions and pricing models, and the digest of the events, which does not depend
	// on their order.
	Regions []string `json:"regions,omitempty"`
	Pricing []string `json:"pricing_models,omitempty"`
	Digest  string   `json:"digest,omitempty"`
	// WrittenBy is the release that wrote the file. Later releases link it.
	WrittenBy int `json:"written_by"`
}

// IsOf reports whether the file belongs to one dataset on one day.
func (f *File) IsOf(ds Dataset, d billing.Day) bool {
	return f.Dataset == ds && f.Day != nil && *f.Day == d
}

// DayEntry describes one released day.
type DayEntry struct {
	Day billing.Day `json:"usage_date"`
	// CoveredSequence is the last change of the state that the day's rows take into account.
	CoveredSequence uint64        `json:"covered_sequence"`
	AccountDays     int64         `json:"account_days"`
	Events          int64         `json:"events"`
	Total           billing.Money `json:"total_usd"`
	// Completeness is "complete" or "incomplete", as in FOCUS TimeSectors.
	Completeness string `json:"completeness"`
	// Reasons for incompleteness: of the whole day, and of single accounts.
	Reasons  []string            `json:"reasons,omitempty"`
	Accounts map[string][]string `json:"accounts,omitempty"`
	// The distinct values among the day's events, sorted.
	Services []string `json:"services,omitempty"`
	Regions  []string `json:"regions,omitempty"`
	Pricing  []string `json:"pricing_models,omitempty"`
	// Digest is the sum of the digests of the day's events, modulo 2^128.
	Digest string `json:"digest,omitempty"`
}

// ExpectedAccount is an account that should send events for every day from From to To, both inclusive.
type ExpectedAccount struct {
	Account billing.AccountID `json:"account_id"`
	From    billing.Day       `json:"from"`
	To      billing.Day       `json:"to,omitempty"` // 0: no end
}

// InputPosition is the range of offsets of a partition that the release covers.
type InputPosition struct {
	Topic       string    `json:"topic"`
	TopicID     string    `json:"topic_id,omitempty"`
	Partition   int32     `json:"partition"`
	FirstOffset int64     `json:"first_offset"`
	NextOffset  int64     `json:"next_offset"`
	LeaderEpoch int32     `json:"leader_epoch"`
	CaughtUpAt  time.Time `json:"caught_up_at"`
}

// QuarantineCount counts records in quarantine at the time of a release.
type QuarantineCount struct {
	Reason     string        `json:"reason"`
	Topic      string        `json:"topic"`
	ArrivalDay string        `json:"arrival_day"`
	NamesDay   bool          `json:"names_account_day"`
	Records    int64         `json:"records"`
	Readable   billing.Money `json:"readable_usd"`
}

// GateResult is the outcome of one gate.
type GateResult struct {
	Gate   string   `json:"gate"`
	Passed bool     `json:"passed"`
	Detail []string `json:"detail,omitempty"` // the rows at fault, at most 20
}

// Manifest describes a release. docs/format-release.md documents its JSON.
type Manifest struct {
	Format         int              `json:"format"`
	Tenant         billing.TenantID `json:"tenant_id"`
	Release        int              `json:"release"`
	Previous       int              `json:"previous,omitempty"`
	RolledBackFrom int              `json:"rolled_back_from,omitempty"` // the release that was current before
	RolledBackTo   int              `json:"rolled_back_to,omitempty"`   // the release whose content this is
	AsOf           time.Time        `json:"as_of"`
	Cutoff         string           `json:"cutoff"` // time of day, UTC, on T+1
	Database       string           `json:"database_id"`
	Cluster        string           `json:"cluster_id"`
	Covered        uint64           `json:"covered_sequence"`
	JournalDigest  string           `json:"journal_digest"`
	RulesDigest    string           `json:"rules_digest"`    // of the state's rules for all tenants
	Rules          *billing.Rules   `json:"rules,omitempty"` // that apply to this tenant
	Topics         []Topic          `json:"topics,omitempty"`
	Attributes     string           `json:"attributes,omitempty"` // the fields that are in the column attributes: "all" (or empty), "none", or names
	Input          []InputPosition  `json:"input"`
	Backfill       *Window          `json:"backfill,omitempty"` // the window of a backfill; else nil
	Days           []DayEntry       `json:"days"`
	// NotComplete lists due days without rows, with the reason no_events.
	NotComplete []DayEntry `json:"not_complete,omitempty"`
	// Expected are the accounts that have a row even on a day without events.
	Expected   []ExpectedAccount `json:"expected_accounts,omitempty"`
	Decisions  []Decision        `json:"decisions,omitempty"`
	Files      []File            `json:"files"`
	Ties       []string          `json:"ties,omitempty"` // event ids, at most 1000
	TieCount   int64             `json:"tie_count"`
	Quarantine []QuarantineCount `json:"quarantine,omitempty"`
	Gates      []GateResult      `json:"gates"`
	Changes    ChangeSummary     `json:"changes"`
	Versions   map[string]string `json:"versions"` // format of files, daybook
}

// ChangeSummary counts the rows of account_day_changes that a release wrote.
type ChangeSummary struct {
	New          int64         `json:"new"`
	Restated     int64         `json:"restated"`
	Retracted    int64         `json:"retracted"`
	Completeness int64         `json:"completeness"`
	Delta        billing.Money `json:"delta_usd"`
	RestatedAbs  billing.Money `json:"restated_abs_usd"` // sum of |delta| of restated and retracted
}

// encode returns the text of the manifest.
func (m *Manifest) encode() ([]byte, error) {
	data, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return seal(append(data, '\n')), nil
}

// The last member of a manifest, "sha256", is the SHA-256 of the text before it. manifestEnd is the end of the text,
// sealBegin the beginning of that member.
const (
	manifestEnd = "\n}\n"
	sealBegin   = ",\n \"sha256\": \""
	sealLength  = len(sealBegin) + 2*sha256.Size + len(`"`+manifestEnd)
)

// seal adds the last member to a manifest's text. Without it a flipped bit in a number, such as a covered sequence,
// would go unnoticed.
func seal(text []byte) []byte {
	body := bytes.TrimSuffix(text, []byte(manifestEnd))
	sum := sha256.Sum256(body)
	return fmt.Appendf(body, "%s%x\"%s", sealBegin, sum, manifestEnd)
}

// sealed reports whether a text is one that seal returned.
func sealed(text []byte) bool {
	if len(text) < sealLength {
		return false
	}
	body := text[: len(text)-sealLength : len(text)-sealLength]
	return bytes.Equal(text, seal(append(body, manifestEnd...)))
}

// readManifest reads the manifest of release n from a file. fs.ErrNotExist, ErrFormat, ErrDamaged.
func (s *Series) readManifest(name string, n int) (*Manifest, error) {
	data, err := disk.ReadFile(s.fs, name)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	if strings.HasSuffix(name, archivedSuffix) {
		if data, err = inflate(data); err != nil {
			return nil, fmt.Errorf("read manifest of release %d: %w: %w", n, ErrDamaged, err)
		}
	}
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("read manifest of release %d: %w: %w", n, ErrDamaged, err)
	}
	if head.Format != ManifestFormat {
		return nil, fmt.Errorf("read manifest of release %d: %w %d, this program reads version %d: use the Daybook that wrote it, or a newer one", n, ErrFormat, head.Format, ManifestFormat)
	}
	if !sealed(data) {
		return nil, fmt.Errorf("read manifest of release %d: %w: its text does not match its SHA-256", n, ErrDamaged)
	}
	m := new(Manifest)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("read manifest of release %d: %w: %w", n, ErrDamaged, err)
	}
	if m.Release != n || m.Tenant != s.tenant {
		return nil, fmt.Errorf("read manifest of release %d of tenant %s: %w: it belongs to release %d of tenant %s",
			n, s.tenant, ErrDamaged, m.Release, m.Tenant)
	}
	return m, nil
}

// filesOf returns the files of one dataset, of all days.
func (m *Manifest) filesOf(ds Dataset) []File {
	var files []File
	for _, f := range m.Files {
		if f.Dataset == ds {
			files = append(files, f)
		}
	}
	return files
}

// dayFiles returns the files of one dataset on one day.
func (m *Manifest) dayFiles(ds Dataset, d billing.Day) []File {
	var files []File
	for i := range m.Files {
		if m.Files[i].IsOf(ds, d) {
			files = append(files, m.Files[i])
		}
	}
	return files
}

// EventFiles returns the files with a day's events in the order of their accounts. The order of their paths is another
// one, because a file is named after the release that wrote it.
func (m *Manifest) EventFiles(d billing.Day) []File {
	files := m.dayFiles(Events, d)
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.First, b.First) })
	return files
}

package lake

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// createdBy is in every file's footer. Readers in the Java world trust the statistics of a file
// only when this has the form "NAME version VERSION (build BUILD)".
const createdBy = "daybook version 1 (build daybook-format-1)"

// The columns in their published order, as Parquet has them. A dictionary goes where values repeat, zstd where it
// saves something: numbers in a narrow range take fewer bytes as differences.

type eventRecord struct {
	Tenant     string  `parquet:"tenant_id,dict"`
	Event      string  `parquet:"event_id"`
	Account    string  `parquet:"account_id,dict"`
	Service    string  `parquet:"service_name,dict"`
	Region     string  `parquet:"region,optional,dict"`
	Pricing    string  `parquet:"pricing_model,optional,dict"`
	Category   string  `parquet:"charge_category,optional,dict"`
	Period     string  `parquet:"billing_period,optional,dict"`
	Cost       decimal `parquet:"cost_usd,decimal(18:38)"`
	IngestedAt int64   `parquet:"ingested_at,timestamp(microsecond),delta,uncompressed"`
	Topic      string  `parquet:"source_topic,dict"`
	Partition  int32   `parquet:"source_partition,delta,uncompressed"`
	Offset     int64   `parquet:"source_offset,delta,uncompressed"`
	RecordTime int64   `parquet:"record_timestamp,optional,timestamp(microsecond),delta,uncompressed"`
	Attributes string  `parquet:"attributes,optional"`
}

type serviceDayRecord struct {
	Tenant  string  `parquet:"tenant_id,dict"`
	Account string  `parquet:"account_id,dict"`
	Service string  `parquet:"service_name,dict"`
	Total   decimal `parquet:"total_cost_usd,decimal(18:38)"`
	Events  int64   `parquet:"event_count"`
}

type accountDayRecord struct {
	Tenant      string  `parquet:"tenant_id,dict"`
	Account     string  `parquet:"account_id"`
	Total       decimal `parquet:"total_cost_usd,decimal(18:38)"`
	Complete    bool    `parquet:"data_complete"`
	PublishedAt int64   `parquet:"published_at,timestamp(microsecond)"`
	Revision    int64   `parquet:"revision"`
	Previous    decimal `parquet:"previous_total_cost_usd,optional,decimal(18:38)"`
	Events      int64   `parquet:"event_count"`
}

type changeRecord struct {
	Tenant  string  `parquet:"tenant_id,dict"`
	Account string  `parquet:"account_id,dict"`
	Day     int32   `parquet:"usage_date,date"`
	Kind    string  `parquet:"kind,dict"`
	Reasons string  `parquet:"reasons,optional,dict"`
	Old     decimal `parquet:"old_total_usd,optional,decimal(18:38)"`
	New     decimal `parquet:"new_total_usd,optional,decimal(18:38)"`
	Delta   decimal `parquet:"delta_usd,decimal(18:38)"`
}

var (
	eventSchema      = parquet.NewSchema("event", parquet.SchemaOf(eventRecord{}))
	serviceDaySchema = parquet.NewSchema("account_service_day", parquet.SchemaOf(serviceDayRecord{}))
	accountDaySchema = parquet.NewSchema("account_day", parquet.SchemaOf(accountDayRecord{}))
	changeSchema     = parquet.NewSchema("change", parquet.SchemaOf(changeRecord{}))
)

// dimensionKeys are the key columns of the dimensions.
var dimensionKeys = map[Dataset]string{
	DimAccount: "account_id",
	DimService: "service_name",
	DimRegion:  "region",
	DimPricing: "pricing_model",
}

// DimensionKey is the key column of a dimension; ok is false for other datasets.
func DimensionKey(ds Dataset) (key string, ok bool) {
	key, ok = dimensionKeys[ds]
	return key, ok
}

// dimensionSchema has tenant_id, the key, and the tenant's own columns as nullable strings.
func dimensionSchema(ds Dataset, columns []string) (*parquet.Schema, error) {
	key, ok := dimensionKeys[ds]
	if !ok {
		return nil, fmt.Errorf("%s is not a dimension", ds)
	}
	root := orderedGroup{Group: parquet.Group{}}
	add := func(name string, n parquet.Node) error {
		if name == "" {
			return fmt.Errorf("%s: a column has no name", ds)
		}
		if slices.ContainsFunc(root.fields, func(f parquet.Field) bool { return f.Name() == name }) {
			return fmt.Errorf("%s: column %q is there twice", ds, name)
		}
		root.fields = append(root.fields, orderedField{n, name})
		return nil
	}
	err := add("tenant_id", parquet.Encoded(parquet.String(), &parquet.RLEDictionary))
	if err == nil {
		err = add(key, parquet.String())
	}
	for _, column := range columns {
		if err == nil {
			err = add(column, parquet.Optional(parquet.Encoded(parquet.String(), &parquet.RLEDictionary)))
		}
	}
	if err != nil {
		return nil, err
	}
	return parquet.NewSchema(string(ds), root), nil
}

// orderedGroup is a parquet.Group that keeps its columns' order.
type orderedGroup struct {
	parquet.Group
	fields []parquet.Field
}

func (g orderedGroup) Fields() []parquet.Field { return g.fields }

func (g orderedGroup) GoType() reflect.Type { return reflect.TypeFor[map[string]string]() }

type orderedField struct {
	parquet.Node
	name string
}

func (f orderedField) Name() string { return f.name }

func (f orderedField) Value(base reflect.Value) reflect.Value {
	return base.MapIndex(reflect.ValueOf(f.name))
}

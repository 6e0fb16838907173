package lake

import (
	"fmt"

	"daybook/internal/parquet"
)

// moneyScale is the scale of DECIMAL(38,18).
const moneyScale = 18

// The columns of the datasets in their published order. Strings that repeat have a dictionary. Integers in a narrow
// range are stored as differences, where zstd saves nothing more.
var (
	eventSchema = parquet.MustSchema("event",
		parquet.Column{Name: "tenant_id", Dictionary: true},
		parquet.Column{Name: "event_id"},
		parquet.Column{Name: "account_id", Dictionary: true},
		parquet.Column{Name: "service_name", Dictionary: true},
		parquet.Column{Name: "region", Optional: true, Dictionary: true},
		parquet.Column{Name: "pricing_model", Optional: true, Dictionary: true},
		parquet.Column{Name: "charge_category", Optional: true, Dictionary: true},
		parquet.Column{Name: "billing_period", Optional: true, Dictionary: true},
		parquet.Column{Name: "cost_usd", Type: parquet.Decimal128, Scale: moneyScale},
		parquet.Column{Name: "ingested_at", Type: parquet.Timestamp, Delta: true, Uncompressed: true},
		parquet.Column{Name: "source_topic", Dictionary: true},
		parquet.Column{Name: "source_partition", Type: parquet.Int32, Delta: true, Uncompressed: true},
		parquet.Column{Name: "source_offset", Type: parquet.Int64, Delta: true, Uncompressed: true},
		parquet.Column{Name: "record_timestamp", Type: parquet.Timestamp, Optional: true, Delta: true, Uncompressed: true},
		parquet.Column{Name: "attributes", Optional: true},
	)
	serviceDaySchema = parquet.MustSchema("account_service_day",
		parquet.Column{Name: "tenant_id", Dictionary: true},
		parquet.Column{Name: "account_id", Dictionary: true},
		parquet.Column{Name: "service_name", Dictionary: true},
		parquet.Column{Name: "total_cost_usd", Type: parquet.Decimal128, Scale: moneyScale},
		parquet.Column{Name: "event_count", Type: parquet.Int64},
	)
	accountDaySchema = parquet.MustSchema("account_day",
		parquet.Column{Name: "tenant_id", Dictionary: true},
		parquet.Column{Name: "account_id"},
		parquet.Column{Name: "total_cost_usd", Type: parquet.Decimal128, Scale: moneyScale},
		parquet.Column{Name: "data_complete", Type: parquet.Boolean},
		parquet.Column{Name: "published_at", Type: parquet.Timestamp},
		parquet.Column{Name: "revision", Type: parquet.Int64},
		parquet.Column{Name: "previous_total_cost_usd", Type: parquet.Decimal128, Scale: moneyScale, Optional: true},
		parquet.Column{Name: "event_count", Type: parquet.Int64},
	)
	changeSchema = parquet.MustSchema("change",
		parquet.Column{Name: "tenant_id", Dictionary: true},
		parquet.Column{Name: "account_id", Dictionary: true},
		parquet.Column{Name: "usage_date", Type: parquet.Date},
		parquet.Column{Name: "kind", Dictionary: true},
		parquet.Column{Name: "reasons", Optional: true, Dictionary: true},
		parquet.Column{Name: "old_total_usd", Type: parquet.Decimal128, Scale: moneyScale, Optional: true},
		parquet.Column{Name: "new_total_usd", Type: parquet.Decimal128, Scale: moneyScale, Optional: true},
		parquet.Column{Name: "delta_usd", Type: parquet.Decimal128, Scale: moneyScale},
	)
)

// dimensionKeys are the key columns of the dimensions.
var dimensionKeys = map[Dataset]string{
	DimAccount: "account_id",
	DimService: "service_name",
	DimRegion:  "region",
	DimPricing: "pricing_model",
}

// DimensionKey returns the key column of a dimension; ok is false for other datasets.
func DimensionKey(ds Dataset) (key string, ok bool) {
	key, ok = dimensionKeys[ds]
	return key, ok
}

// dimensionSchema returns the columns of a dimension: tenant_id, the key, and the tenant's own columns, which are
// nullable strings. A column name that is empty or repeated is an error.
func dimensionSchema(ds Dataset, extra []string) (*parquet.Schema, error) {
	key, ok := dimensionKeys[ds]
	if !ok {
		return nil, fmt.Errorf("%s is not a dimension", ds)
	}
	columns := []parquet.Column{{Name: "tenant_id", Dictionary: true}, {Name: key}}
	for _, name := range extra {
		columns = append(columns, parquet.Column{Name: name, Optional: true, Dictionary: true})
	}
	return parquet.NewSchema(string(ds), columns...)
}

package produce

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// curCategories are the FOCUS charge categories of AWS's line item types. A
// type that is not listed has a null category; the attributes have the type.
var curCategories = map[string]string{
	"Usage":                   "Usage",
	"DiscountedUsage":         "Usage",
	"SavingsPlanCoveredUsage": "Usage",

	"Fee":                     "Purchase",
	"RIFee":                   "Purchase",
	"SavingsPlanUpfrontFee":   "Purchase",
	"SavingsPlanRecurringFee": "Purchase",

	"Tax":    "Tax",
	"Credit": "Credit",

	"Refund":              "Adjustment",
	"SavingsPlanNegation": "Adjustment",
	"BundledDiscount":     "Adjustment",
	"Discount":            "Adjustment",
	"DistributorDiscount": "Adjustment",
	"EdpDiscount":         "Adjustment",
	"PrivateRateDiscount": "Adjustment",
	"RiVolumeDiscount":    "Adjustment",
	"SppDiscount":         "Adjustment",
}

// mapCUR maps an AWS Cost and Usage Report: the legacy names (lineItem/…) and
// those of CUR 2.0 and of Athena (line_item_…).
//
// The event id is the line item id and the time interval together: AWS repeats
// the line item id in each hour of a month.
func mapCUR(h *header, c *Config) (*mapping, error) {
	m := newMapper(h, c, func(cell string) bool { return cell == "" })
	m.common()

	m.field(fieldEventID, func() value {
		if len(c.EventID) > 0 {
			return m.columnsID()
		}
		return m.curID()
	})
	m.field(fieldAccountID, func() value {
		return first(
			m.take("lineItem/UsageAccountId", "line_item_usage_account_id"),
			m.look("bill/PayerAccountId", "bill_payer_account_id"))
	})
	m.field(fieldServiceName, func() value {
		return first(
			m.take("product/ProductName", "product_product_name"),
			productName(m.look("product")),
			m.look("lineItem/ProductCode", "line_item_product_code"))
	})
	day := dayOf(first(
		startOf(m.look("identity/TimeInterval", "identity_time_interval")),
		m.look("lineItem/UsageStartDate", "line_item_usage_start_date"),
		constant("")), "the time interval's start")
	m.field(fieldUsageDate, func() value { return day })
	m.field(fieldCost, func() value {
		if c.CostColumn != "" {
			return m.costColumn()
		}
		return m.take("lineItem/UnblendedCost", "line_item_unblended_cost")
	})
	m.field(fieldCurrency, func() value { return m.take("lineItem/CurrencyCode", "line_item_currency_code") })
	m.field(fieldRegion, func() value {
		return first(
			m.take("product/region", "product_region"),
			m.take("product/regionCode", "product_region_code"))
	})
	m.field(fieldPricingModel, func() value { return m.take("pricing/term", "pricing_term") })
	m.field(fieldCategory, func() value {
		return curCategory(m.look("lineItem/LineItemType", "line_item_line_item_type"))
	})
	m.field(fieldPeriod, func() value {
		return otherMonth(m.look("bill/BillingPeriodStartDate", "bill_billing_period_start_date"), day, "the billing period's start")
	})

	m.require(fieldAccountID)
	m.require(fieldServiceName)
	m.require(fieldCost)
	m.require(fieldCurrency)
	return m.finish()
}

// curID is the line item id and the time interval. A row without either has no unique id.
func (m *mapper) curID() value {
	item := m.take("identity/LineItemId", "identity_line_item_id")
	interval := m.take("identity/TimeInterval", "identity_time_interval")
	if item == nil || interval == nil {
		m.fault("no column identity/TimeInterval beside identity/LineItemId: the line item id alone is not unique, name the columns of an id by --event-id")
		return nil
	}
	return func(cells []string) (string, error) {
		a, err := item(cells)
		if err != nil {
			return "", err
		}
		b, err := interval(cells)
		if err != nil {
			return "", err
		}
		if a == "" || b == "" {
			return "", fmt.Errorf("%w: the line item id or the time interval is empty", errBadRow)
		}
		return a + "|" + b, nil
	}
}

// curCategory maps the line item type.
func curCategory(kind value) value {
	if kind == nil {
		return nil
	}
	return func(cells []string) (string, error) {
		text, err := kind(cells)
		return curCategories[text], err
	}
}

// productName reads product_name of the map that CUR 2.0 keeps in the column
// product; empty if there is none.
func productName(products value) value {
	if products == nil {
		return nil
	}
	return func(cells []string) (string, error) {
		text, err := products(cells)
		if err != nil || text == "" {
			return "", err
		}
		return stringMember(text, "product_name"), nil
	}
}

// stringMember returns the string member of a JSON object; empty if there is none or the text is not JSON.
func stringMember(object, name string) string {
	d := jsontext.NewDecoder(strings.NewReader(object))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return ""
	}
	for d.PeekKind() == '"' {
		key, err := d.ReadToken()
		if err != nil {
			return ""
		}
		if key.String() != name {
			if d.SkipValue() != nil {
				return ""
			}
			continue
		}
		if v, err := d.ReadToken(); err == nil && v.Kind() == '"' {
			return v.String()
		}
		return ""
	}
	return ""
}

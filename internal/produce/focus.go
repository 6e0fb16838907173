package produce

// mapFOCUS maps a FOCUS export (FinOps Open Cost and Usage Specification, 1.0
// and later). Its times are UTC, also if they have no offset.
//
// FOCUS has no column that identifies a charge. A column Id or event_id of the provider is
// used; without one --event-id must name the columns that together identify the charge.
func mapFOCUS(h *header, c *Config) (*mapping, error) {
	m := newMapper(h, c, func(cell string) bool { return cell == "" || cell == "NULL" || cell == "null" })
	m.common()

	m.field(fieldEventID, func() value {
		if len(c.EventID) > 0 {
			return m.columnsID()
		}
		id := m.take(fieldEventID, "Id")
		if id == nil {
			m.fault("FOCUS has no column that identifies a charge: name the columns that together do, --event-id COLUMN,COLUMN…, or add --map event_id=COLUMN")
		}
		return id
	})
	m.field(fieldAccountID, func() value { return first(m.take("SubAccountId"), m.look("BillingAccountId")) })
	m.field(fieldServiceName, func() value { return m.take("ServiceName") })
	day := dayOf(first(m.look("ChargePeriodStart"), constant("")), "ChargePeriodStart")
	m.field(fieldUsageDate, func() value { return day })
	m.field(fieldCost, func() value {
		if c.CostColumn != "" {
			return m.costColumn()
		}
		return m.take("BilledCost")
	})
	m.field(fieldCurrency, func() value { return m.take("BillingCurrency") })
	m.field(fieldRegion, func() value { return m.take("RegionId") })
	m.field(fieldPricingModel, func() value { return m.take("PricingCategory") })
	m.field(fieldCategory, func() value { return focusCategory(m.look("ChargeCategory"), m.look("ChargeClass")) })
	m.field(fieldPeriod, func() value { return otherMonth(m.look("BillingPeriodStart"), day, "BillingPeriodStart") })

	m.require(fieldAccountID)
	m.require(fieldServiceName)
	m.require(fieldCost)
	m.require(fieldCurrency)
	return m.finish()
}

// focusCategory is the charge category. A correction of a charge of an earlier period is an Adjustment.
func focusCategory(category, class value) value {
	if category == nil {
		return nil
	}
	return func(cells []string) (string, error) {
		if class != nil {
			if text, err := class(cells); err != nil || text == "Correction" {
				return "Adjustment", err
			}
		}
		return category(cells)
	}
}

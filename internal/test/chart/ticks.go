package chart

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
)

// linearTicks are some five labelled ticks at multiples of 1, 2 or 5 times a power of ten.
func linearTicks(low, high float64) []plot.Tick {
	step := math.Pow(10, math.Floor(math.Log10((high-low)/5)))
	for _, factor := range []float64{1, 2, 5, 10} {
		if (high-low)/(step*factor) <= 7 {
			step *= factor
			break
		}
	}
	var ticks []plot.Tick
	for i := math.Ceil(low / step); i*step <= high*(1+1e-9); i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: axisLabel(i * step)})
	}
	return ticks
}

// logTicks are labelled ticks at 1, 2 and 5 times each power of ten (at powers of ten alone from four decades on,
// at powers of two below two decades) and unlabelled ones between them.
func logTicks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	if high/low < 100 {
		for v := math.Pow(2, math.Floor(math.Log2(low))); v <= high*(1+1e-9); v *= 2 {
			ticks = append(ticks, plot.Tick{Value: v, Label: axisLabel(v)})
		}
		return ticks
	}
	for decade := math.Pow(10, math.Floor(math.Log10(low))); decade <= high*(1+1e-9); decade *= 10 {
		ticks = append(ticks, plot.Tick{Value: decade, Label: axisLabel(decade)})
		for factor := 2.0; factor < 10; factor++ {
			tick := plot.Tick{Value: decade * factor}
			if high/low < 1e4 && (factor == 2 || factor == 5) {
				tick.Label = axisLabel(tick.Value)
			}
			ticks = append(ticks, tick)
		}
	}
	return ticks
}

// axisLabel is a number, from 10,000 on with its SI prefix.
func axisLabel(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.3g M", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.3g k", v/1e3)
	}
	return fmt.Sprintf("%.4g", v)
}

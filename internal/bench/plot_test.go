package bench

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
)

// point is one measurement.
type point struct{ x, y float64 }

// line is a named series of points.
type line struct {
	name   string
	points []point
}

// plot is a chart of lines; y begins at 0.
type plot struct {
	title, x, y string
	logX        bool
	lines       []line
}

// The chart's size and margins, in pixels.
const (
	plotWidth, plotHeight     = 720, 360
	plotLeft, plotRight       = 70, 20
	plotTop, plotBottom       = 40, 50
	plotInnerX, plotInnerY    = plotWidth - plotLeft - plotRight, plotHeight - plotTop - plotBottom
	plotTicks                 = 5
	plotFont, plotMutedColour = `font-family="sans-serif" font-size="12"`, "#888"
)

var plotColours = []string{"#1f6feb", "#d1242f", "#1a7f37", "#9a6700"}

// svg draws the chart.
func (p *plot) svg() string {
	scaleX := func(x float64) float64 { return x }
	if p.logX {
		scaleX = math.Log10
	}
	lowX, highX, highY := math.Inf(1), math.Inf(-1), 0.0
	for _, l := range p.lines {
		for _, q := range l.points {
			lowX, highX, highY = min(lowX, scaleX(q.x)), max(highX, scaleX(q.x)), max(highY, q.y)
		}
	}
	if highX <= lowX {
		highX = lowX + 1
	}
	highY = roundUp(highY)
	place := func(q point) (x, y float64) {
		return plotLeft + plotInnerX*(scaleX(q.x)-lowX)/(highX-lowX), plotTop + plotInnerY*(1-q.y/highY)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", plotWidth, plotHeight)
	text := func(x, y float64, anchor, colour, s string) {
		fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="%s" fill="%s" %s>%s</text>`+"\n", x, y, anchor, colour, plotFont, escape(s))
	}
	text(plotWidth/2, 20, "middle", "black", p.title)
	text(plotWidth/2, plotHeight-10, "middle", "black", p.x)
	text(10, plotTop-14, "start", "black", p.y)
	for i := range plotTicks + 1 {
		value := highY * float64(i) / plotTicks
		_, y := place(point{p.anyX(), value})
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", plotLeft, plotWidth-plotRight, y, y)
		text(plotLeft-6, y+4, "end", plotMutedColour, short(value))
	}
	for _, q := range p.xTicks() {
		x, _ := place(point{q, 0})
		text(x, plotHeight-plotBottom+18, "middle", plotMutedColour, short(q))
	}
	for i, l := range p.lines {
		colour := plotColours[i%len(plotColours)]
		var at []string
		for _, q := range l.points {
			x, y := place(q)
			at = append(at, fmt.Sprintf("%.1f,%.1f", x, y))
			if len(l.points) <= 50 {
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x, y, colour)
			}
		}
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"/>`+"\n", colour, strings.Join(at, " "))
		text(plotWidth-plotRight, float64(plotTop+4+16*i), "end", colour, l.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// anyX is an x that lies in the chart.
func (p *plot) anyX() float64 { return p.lines[0].points[0].x }

// xTicks are the places to label: the points themselves where they are few.
func (p *plot) xTicks() []float64 {
	points := p.lines[0].points
	if len(points) <= 8 {
		var all []float64
		for _, q := range points {
			all = append(all, q.x)
		}
		return all
	}
	first, last := points[0].x, points[len(points)-1].x
	var all []float64
	for i := range plotTicks + 1 {
		all = append(all, first+(last-first)*float64(i)/plotTicks)
	}
	return all
}

// write draws the chart into a file.
func (p *plot) write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(p.svg()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// roundUp is the next number of one digit, and 1.5 or 2.5 of it.
func roundUp(y float64) float64 {
	if y <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(y)))
	for _, step := range []float64{1, 1.5, 2, 2.5, 3, 4, 5, 6, 8} {
		if y <= step*unit {
			return step * unit
		}
	}
	return 10 * unit
}

// short is a number for an axis.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.3g M", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.3g k", v/1e3)
	}
	return fmt.Sprintf("%.4g", v)
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

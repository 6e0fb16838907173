// Package chart draws line charts of measurements for the documents. A chart is kept as NAME.json, which has its
// measurements, and NAME.png, which is drawn from it by gonum.org/v1/plot. Only tests import it.
package chart

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// The size of a chart. The legend occupies headroom above the highest value, so that it covers no series.
const (
	chartWidth, chartHeight = 20 * vg.Centimeter, 10 * vg.Centimeter
	chartDPI                = 120
	chartHeadroom           = 1.35
	chartMarkersUpTo        = 50 // points of a series; a longer one is a line without markers
)

var chartColours = []color.Color{
	color.RGBA{R: 0x1f, G: 0x6f, B: 0xeb, A: 0xff},
	color.RGBA{R: 0xd1, G: 0x24, B: 0x2f, A: 0xff},
	color.RGBA{R: 0x1a, G: 0x7f, B: 0x37, A: 0xff},
}

// Point is one measurement: x and y, in the units that the chart's axes name.
type Point [2]float64

// Series is a named line of a chart.
type Series struct {
	Name   string  `json:"name"`
	Points []Point `json:"points"`
}

// Scale is how an axis maps values to places.
type Scale string

const (
	Linear      Scale = "linear"
	Logarithmic Scale = "log"
)

// Chart is a line chart. Its labels name the units; the y axis starts at 0.
type Chart struct {
	Title  string   `json:"title"`
	X      string   `json:"x"`
	XScale Scale    `json:"x_scale"`
	Y      string   `json:"y"`
	Series []Series `json:"series"`
}

// Read reads the measurements of a chart.
func Read(file string) (*Chart, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var c Chart
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("read chart %s: %w", file, err)
	}
	return &c, nil
}

// Save writes NAME.json and NAME.png into dir.
func (c *Chart) Save(dir, name string) error {
	text, err := c.text()
	if err != nil {
		return err
	}
	picture, err := c.Image()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, name+".json"), text, 0o644); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		return fmt.Errorf("encode chart %s: %w", name, err)
	}
	return os.WriteFile(filepath.Join(dir, name+".png"), b.Bytes(), 0o644)
}

// text is the chart as JSON, a series a line.
func (c *Chart) text() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n  \"title\": %q,\n  \"x\": %q,\n  \"x_scale\": %q,\n  \"y\": %q,\n  \"series\": [\n", c.Title, c.X, c.XScale, c.Y)
	for i, s := range c.Series {
		line, err := json.Marshal(s)
		if err != nil {
			return nil, err
		}
		comma := ","
		if i == len(c.Series)-1 {
			comma = ""
		}
		fmt.Fprintf(&b, "    %s%s\n", line, comma)
	}
	b.WriteString("  ]\n}\n")
	return b.Bytes(), nil
}

// Image draws the chart. Text is drawn, not named by its font, so that every reader shows the same picture.
func (c *Chart) Image() (image.Image, error) {
	p := plot.New()
	p.Title.Text = c.Title
	p.Title.Padding = vg.Points(8)
	p.X.Label.Text, p.Y.Label.Text = c.X, c.Y
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(linearTicks), plot.TickerFunc(linearTicks)
	if c.XScale == Logarithmic {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.TickerFunc(logTicks)
	}
	p.Legend.Top, p.Legend.Padding, p.Legend.XOffs = true, vg.Points(2), -vg.Points(4)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{Y: 0xe6}, color.Gray{Y: 0xe6}
	p.Add(grid)
	highest := 0.0
	for i, s := range c.Series {
		points := make(plotter.XYs, len(s.Points))
		for j, q := range s.Points {
			points[j] = plotter.XY{X: q[0], Y: q[1]}
			highest = max(highest, q[1])
		}
		line, markers, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, fmt.Errorf("draw series %s: %w", s.Name, err)
		}
		line.Color, markers.Color = chartColours[i%len(chartColours)], chartColours[i%len(chartColours)]
		line.Width, markers.Radius, markers.Shape = vg.Points(1.5), vg.Points(2.5), draw.CircleGlyph{}
		if len(points) > chartMarkersUpTo {
			p.Add(line)
		} else {
			p.Add(line, markers)
		}
		if len(c.Series) > 1 {
			p.Legend.Add(s.Name, line)
		}
	}
	if highest == 0 {
		return nil, errors.New("draw chart: no value above 0")
	}
	p.Y.Min, p.Y.Max = 0, highest*1.1
	if len(c.Series) > 1 {
		p.Y.Max = highest * chartHeadroom
	}
	canvas := vgimg.NewWith(vgimg.UseWH(chartWidth, chartHeight), vgimg.UseDPI(chartDPI))
	p.Draw(draw.Crop(draw.New(canvas), vg.Points(4), -vg.Points(16), vg.Points(4), -vg.Points(4)))
	return canvas.Image(), nil
}

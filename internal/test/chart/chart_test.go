package chart

import (
	"flag"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var redraw = flag.Bool("redraw", false, "draw the charts of docs/performance from their measurements")

// TestChartsAreDrawnFromTheirMeasurements: each chart of docs/performance is what its measurements draw. With -redraw
// (make charts) it draws them.
func TestChartsAreDrawnFromTheirMeasurements(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "docs", "performance")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no measurements in %s: %v", dir, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		c, err := Read(file)
		if err != nil {
			t.Fatal(err)
		}
		if *redraw {
			if err := c.Save(dir, name); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := c.Image()
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(filepath.Join(dir, name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := png.Decode(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if !samePixels(got, want) {
			t.Errorf("docs/performance/%s.png is not what %s.json draws; run make charts", name, name)
		}
	}
}

func samePixels(a, b image.Image) bool {
	if a.Bounds() != b.Bounds() {
		return false
	}
	for y := a.Bounds().Min.Y; y < a.Bounds().Max.Y; y++ {
		for x := a.Bounds().Min.X; x < a.Bounds().Max.X; x++ {
			if color.RGBAModel.Convert(a.At(x, y)) != color.RGBAModel.Convert(b.At(x, y)) {
				return false
			}
		}
	}
	return true
}

package cli

import (
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progressInterval is the time between two log lines about progress.
const progressInterval = 10 * time.Second

// console is standard error. Log lines are printed above the bar.
type console struct {
	w  io.Writer
	mu struct {
		sync.Mutex
		bars *mpb.Progress
	}
}

// Write prints p above the bar, if there is one.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.bars != nil {
		if n, err := c.mu.bars.Write(p); err == nil {
			return n, nil
		}
	}
	return c.w.Write(p)
}

// show sets the bars that Write prints above; nil: none.
func (c *console) show(bars *mpb.Progress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.bars = bars
}

// Progress shows the progress of long work: on a terminal a bar with rate and remaining time, elsewhere a periodic log
// line. Its methods are safe for concurrent use.
type Progress struct {
	label, unit string
	started     time.Time
	done, total atomic.Int64
	first       atomic.Int64 // done when Set was first called, +1; 0: not yet

	end func() // stops the display and waits until it has stopped
}

// NewProgress starts a display. total 0 means unknown; unit is the unit of the count, e.g. "records". The caller closes
// it.
func (c *Context) NewProgress(label, unit string, total int64) *Progress {
	p := &Progress{label: label, unit: unit, started: time.Now()}
	p.total.Store(total)
	switch {
	case c.Interactive && c.console != nil:
		p.showBar(c.console)
	case c.Log != nil:
		p.logLines(c)
	default:
		p.end = func() {}
	}
	return p
}

// Set updates the progress; total 0 means unknown.
func (p *Progress) Set(done, total int64) {
	p.first.CompareAndSwap(0, done+1)
	p.done.Store(done)
	p.total.Store(total)
}

// Close stops the display. A second call does nothing.
func (p *Progress) Close() {
	p.end()
	p.end = func() {}
}

// showBar draws a bar on a terminal until end.
func (p *Progress) showBar(c *console) {
	bars := mpb.New(mpb.WithOutput(c.w), mpb.WithWidth(32), mpb.WithRefreshRate(150*time.Millisecond), mpb.WithAutoRefresh())
	bar := bars.New(0, mpb.BarStyle(),
		mpb.PrependDecorators(decor.Name(p.label+" ")),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return " " + p.status() })),
	)
	c.show(bars)
	stop, stopped := make(chan struct{}), make(chan struct{})
	update := func() {
		if total := p.total.Load(); total > 0 {
			bar.SetTotal(max(total, p.done.Load())+1, false) // +1: only end completes it
			bar.SetCurrent(p.done.Load())
		}
	}
	go func() {
		defer close(stopped)
		t := time.NewTicker(150 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				update()
			case <-stop:
				update()
				return
			}
		}
	}()
	p.end = func() {
		close(stop)
		<-stopped
		bar.Abort(false)
		bars.Wait()
		c.show(nil)
	}
}

// logLines logs the progress every progressInterval until end, and once more at the end if the work took that long.
func (p *Progress) logLines(c *Context) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		t := time.NewTicker(progressInterval)
		defer t.Stop()
		for logged := false; ; logged = true {
			select {
			case <-t.C:
				c.Log.Info("progress", "work", p.label, "status", p.status())
			case <-stop:
				if logged {
					c.Log.Info("progress", "work", p.label, "status", p.status())
				}
				return
			}
		}
	}()
	p.end = func() {
		close(stop)
		<-stopped
	}
}

// status describes the progress, e.g. "1,200 of 5,000 records, 400/s, 10s left".
func (p *Progress) status() string {
	done, total := p.done.Load(), p.total.Load()
	s := Count(done)
	if total > 0 {
		s += " of " + Count(total)
	}
	s += " " + p.unit
	// Work before the first Set does not count for the rate.
	moved := done - max(p.first.Load()-1, 0)
	elapsed := time.Since(p.started)
	if moved <= 0 || elapsed < time.Second {
		return s
	}
	rate := float64(moved) / elapsed.Seconds()
	s += fmt.Sprintf(", %s/s", Count(int64(rate)))
	if left := total - done; total > 0 && left > 0 {
		wait := time.Duration(float64(left) / rate * float64(time.Second))
		s += fmt.Sprintf(", %s left", wait.Round(time.Second))
	}
	return s
}

// Plural is a count of things: 1 row, 2 rows.
func Plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Count(n) + " " + noun + "s"
}

// Count formats a number with commas between thousands.
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	out := make([]byte, 0, len(digits)*4/3+1)
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out = append(out, ',')
		}
		out = append(out, digits[i])
	}
	return sign + string(out)
}

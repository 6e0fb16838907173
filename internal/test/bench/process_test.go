package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"daybook/internal/test/chart"
)

// usage is what a process took.
type usage struct {
	wall, cpu time.Duration // cpu: user and system
	peak      int64         // bytes resident at most; 0 where there is no /proc
	memory    []chart.Point // resident MiB over seconds
}

// rate is n in a second of wall time.
func (u usage) rate(n int64) float64 { return float64(n) / u.wall.Seconds() }

// cpuEach is the CPU time that each of n took.
func (u usage) cpuEach(n int64) time.Duration { return u.cpu / time.Duration(max(n, 1)) }

// measure runs a process to its end. Any exit code but 0 ends the test.
func measure(t *testing.T, c *exec.Cmd) usage {
	t.Helper()
	var out bytes.Buffer
	if c.Stdout == nil {
		c.Stdout = &out
	}
	c.Stderr = &out
	began := time.Now()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	var u usage
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		u.watch(c.Process.Pid, began, ended)
	}()
	err := c.Wait()
	u.wall = time.Since(began)
	close(ended)
	<-watched
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(c.Args, " "), err, out.String())
	}
	u.cpu = c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	return u
}

// watch samples the memory of a process until it has ended. getrusage does not do: its
// maximum includes the parent, from which the process was forked.
func (u *usage) watch(pid int, began time.Time, ended <-chan struct{}) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		now, peak := resident(pid)
		if now == 0 {
			continue
		}
		u.peak = max(u.peak, peak)
		u.memory = append(u.memory, chart.Point{time.Since(began).Seconds(), float64(now) / (1 << 20)})
	}
}

// resident reads a process's resident memory, now and at most, in bytes.
func resident(pid int) (now, peak int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	read := func(name string) int64 {
		_, rest, _ := strings.Cut(string(text), "\n"+name+":")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			return 0
		}
		kb, _ := strconv.ParseInt(fields[0], 10, 64)
		return kb << 10
	}
	return read("VmRSS"), read("VmHWM")
}

// size is what the files below a directory take. A file that goes meanwhile counts nothing.
func size(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		bytes += info.Size()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

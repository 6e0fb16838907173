package publish

import (
	"context"
	"time"
)

// The pause after a failed run, which doubles from the least to the most.
const (
	leastPause = 30 * time.Second
	mostPause  = 15 * time.Minute
)

// Follow publishes now, and then at every cutoff, until ctx ends; a run that fails is repeated after
// a pause. told is called after each run. Config.AsOf must be zero.
func (p *Publisher) Follow(ctx context.Context, told func(Report, error)) {
	pause := leastPause
	for {
		report, err := p.Run(ctx)
		if ctx.Err() != nil {
			return
		}
		told(report, err)
		now := p.deps.Now()
		next := p.cfg.Cutoff.Of(p.cfg.Cutoff.LastDue(now) + 1)
		if err == nil {
			pause = leastPause
		} else {
			next = now.Add(pause)
			pause = min(2*pause, mostPause)
		}
		// In steps, so that a clock that is set, or a machine that slept, is noticed.
		for p.deps.Now().Before(next) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(min(p.cfg.Poll, next.Sub(now))):
			}
		}
	}
}

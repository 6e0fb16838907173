package publish

import (
	"context"
	"time"
)

// The backoff after failed runs doubles from leastPause to mostPause.
const (
	leastPause = 30 * time.Second
	mostPause  = 15 * time.Minute
)

// Follow publishes now and then at every cutoff until ctx ends. A run that fails is repeated with exponential
// backoff. after is called after each run. Config.AsOf must be zero.
func (p *Publisher) Follow(ctx context.Context, after func(Report, error)) {
	pause := leastPause
	for {
		report, err := p.Run(ctx)
		if err != nil && ctx.Err() != nil {
			return // interrupted
		}
		after(report, err) // also of a run that finished while ctx ended
		now := p.deps.Now()
		next := p.cfg.Cutoff.Of(p.cfg.Cutoff.LastDue(now) + 1)
		if err == nil {
			pause = leastPause
		} else {
			next = now.Add(pause)
			pause = min(2*pause, mostPause)
		}
		// Wait in steps, so that a step of the clock or a suspended machine is noticed.
		for p.deps.Now().Before(next) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(min(p.cfg.Poll, next.Sub(now))):
			}
		}
	}
}

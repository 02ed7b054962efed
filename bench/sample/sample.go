// Package sample measures every second, from outside, what processes and hosts use: CPU and memory of the processes by role, bytes of
// the hosts' interfaces, the counters of RDMA ports, memory of GPUs. It asks no process anything, and starts none of its own each second.
package sample

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"weft/bench/result"
)

// Config says what is sampled.
type Config struct {
	Since time.Time                                // what the samples' times count from
	List  func(context.Context) ([]Process, error) // the processes there are, called every five seconds; Cluster gives one
	GPU   []string                                 // a command that prints "index, MiB used" for each GPU, again and again; nil: none. See NVIDIA

	every, listEvery time.Duration // set by tests
}

// Process is one that counts, and what it is counted as.
type Process struct {
	Host string
	PID  int
	Role string
}

// Sampler samples from Start to Stop.
type Sampler struct {
	end  context.CancelFunc
	done sync.WaitGroup
	root fs.FS

	mu        sync.Mutex
	processes []Process
	gpus      map[string]float64 // bytes by index
	samples   []result.Sample
	err       error // the first that went wrong
}

// Start begins to sample, until Stop is called or ctx ends. A process counts from when List first shows it.
func Start(ctx context.Context, c Config) (*Sampler, error) {
	if c.every == 0 {
		c.every, c.listEvery = time.Second, 5*time.Second
	}
	processes, err := c.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("sampling: %w", err)
	}
	ctx, end := context.WithCancel(ctx)
	s := &Sampler{end: end, root: os.DirFS("/"), processes: processes, gpus: map[string]float64{}}
	if c.GPU != nil {
		if err := s.watchGPUs(ctx, c.GPU); err != nil {
			end()
			return nil, err
		}
	}
	s.done.Go(func() { s.list(ctx, c) })
	s.done.Go(func() { s.run(ctx, c) })
	return s, nil
}

// Stop ends sampling. What was sampled is good even where there is an error, but something is missing in it.
func (s *Sampler) Stop() ([]result.Sample, error) {
	s.end()
	s.done.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.samples, s.err
}

func (s *Sampler) list(ctx context.Context, c Config) {
	tick := time.NewTicker(c.listEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ps, err := c.List(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.failed(fmt.Errorf("sampling: %w", err))
			continue
		}
		s.mu.Lock()
		s.processes = ps
		s.mu.Unlock()
	}
}

func (s *Sampler) run(ctx context.Context, c Config) {
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	m := meter{root: s.root}
	for {
		now := time.Now()
		s.mu.Lock()
		processes, gpus := s.processes, s.gpus
		s.mu.Unlock()
		samples := m.tick(now.Sub(c.Since).Seconds(), processes, gpus)
		s.mu.Lock()
		s.samples = append(s.samples, samples...)
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Sampler) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

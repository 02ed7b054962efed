package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"weft/internal/metrics"
	"weft/shuffle"
)

const (
	shuffleID    = 1
	requestSize  = 100
	warmOutputs  = 500  // fewer than data files stay open (weft.files.max, 1024)
	closeOutputs = 4000 // more than that, and fewer than layouts of maxReducers stay in memory (64 MiB)
	maxReducers  = 1000
	rangeWidth   = 10 // partitions
)

// Run measures. The files are removed again.
func Run(ctx context.Context, c Config) (r Result, err error) {
	if c.Outputs < requestSize || c.Reducers < 1 || c.Reducers > maxReducers || c.Rounds < 1 || c.Ranges < 1 {
		return r, fmt.Errorf("at least %d map outputs, 1 to %d reducers, and at least 1 round and 1 block range are needed, not %d, %d, %d and %d",
			requestSize, maxReducers, c.Outputs, c.Reducers, c.Rounds, c.Ranges)
	}
	if c.Dir, err = os.MkdirTemp(c.Dir, "weft-registry-"); err != nil {
		return r, err
	}
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.Dir)) }()
	fmt.Fprintf(c.Progress, "making the files of %d map outputs in %s\n", c.Outputs, c.Dir)
	if err := c.writeFiles(); err != nil {
		return r, err
	}
	return c.measure(ctx)
}

// measure leaves an empty registry.
func (c Config) measure(ctx context.Context) (Result, error) {
	r := Result{Outputs: c.Outputs, Reducers: c.Reducers}
	before := heap()
	registry := shuffle.NewRegistry(shuffle.RegistryOptions{}, metrics.NewSet(), slog.New(slog.DiscardHandler))
	app := shuffle.App{ID: "bench"}
	executor, err := registry.Join(app, "1", uint32(os.Getuid()), []string{c.Dir}, nil)
	if err != nil {
		return r, err
	}
	defer executor.Leave()
	for m := range c.Outputs {
		if err := executor.RegisterMapOutput(c.mapOutput(m)); err != nil {
			return r, err
		}
	}
	r.StateBytes = heap() - before
	s := resolver{Config: c, service: shuffle.NewService(registry), request: shuffle.LocateRequest{App: app, Executor: "1"}}
	if _, err := s.resolve(ctx, c.Outputs, c.Outputs, 1); err != nil { // until everything is as full as it gets
		return r, err
	}
	r.TotalBytes = heap() - before
	r.PerOutput = r.TotalBytes / int64(c.Outputs)
	runtime.KeepAlive(registry)
	for round := range c.Rounds {
		rows, err := s.round(ctx)
		if err != nil {
			return r, err
		}
		alone, err := s.filesAlone(min(c.Outputs, c.Ranges))
		if err != nil {
			return r, err
		}
		r.FilesAlone = append(r.FilesAlone, micros(alone))
		for i, row := range rows {
			if round == 0 {
				r.Resolve = append(r.Resolve, row)
			} else {
				r.Resolve[i].Micros = append(r.Resolve[i].Micros, row.Micros...)
			}
		}
		fmt.Fprintf(c.Progress, "round %d of %d done\n", round+1, c.Rounds)
	}
	return r, nil
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first one made free for pools
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// resolver asks the registry for blocks, as a transport does for a peer.
type resolver struct {
	Config
	service *shuffle.Service
	request shuffle.LocateRequest
	next    int // map output
}

// round measures every row once. Cold ones first, as they leave nothing that others would need.
func (s *resolver) round(ctx context.Context) (rows []Row, err error) {
	for _, block := range []struct {
		name  string
		width int
	}{{OnePartition, 1}, {Partitions, min(rangeWidth, s.Reducers)}} {
		for _, layout := range []struct {
			name          string
			among, ranges int
			again         bool // only what was resolved once is measured
		}{
			{Cold, s.Outputs, min(s.Outputs, s.Ranges), false},
			{Closed, min(s.Outputs, closeOutputs), s.Ranges, true},
			{Warm, min(s.Outputs, warmOutputs), 5 * s.Ranges, true},
		} {
			if layout.again {
				if _, err := s.resolve(ctx, layout.among, layout.among, block.width); err != nil {
					return nil, err
				}
			}
			took, err := s.resolve(ctx, layout.among, layout.ranges, block.width)
			if err != nil {
				return nil, err
			}
			rows = append(rows, Row{block.name, layout.name, []float64{micros(took) / float64(layout.ranges)}})
		}
	}
	return rows, nil
}

// resolve asks for ranges blocks of width partitions, one of each of the first among map outputs in turn, and gives them back.
func (s *resolver) resolve(ctx context.Context, among, ranges, width int) (time.Duration, error) {
	var took time.Duration
	for done := 0; done < ranges; done += len(s.request.Blocks) {
		s.request.Blocks = s.request.Blocks[:0]
		for range min(requestSize, ranges-done) {
			s.next = (s.next + 1) % among
			reduce := s.next % (s.Reducers - width + 1)
			s.request.Blocks = append(s.request.Blocks, shuffle.BlockID{
				Shuffle: shuffleID, Map: uint64(s.next), ReduceStart: uint32(reduce), ReduceEnd: uint32(reduce + width),
			})
		}
		start := time.Now()
		found, err := s.service.Locate(ctx, &s.request)
		if err != nil {
			return 0, err
		}
		for i, f := range found {
			if f.Err != nil {
				return 0, fmt.Errorf("%s: %w", s.request.Blocks[i], f.Err)
			}
			f.Close()
		}
		took += time.Since(start)
	}
	return took, nil
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

package rdma

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"weft/bench/summary"
)

// Config is one run of the benchmark.
type Config struct {
	Device     string // a name, or auto
	Peer       string // address of the owner's Serve
	CLoop      string // path of bench/cloop; "": go without
	Perftest   bool
	Out        string // directory of the result; "": none
	Rounds     int
	Row        time.Duration // how long each implementation is measured in each row and round
	BlockBytes []int
	Depths     []int
	Progress   io.Writer
}

func (c Config) validate() error {
	var errs []error
	for _, b := range c.BlockBytes {
		if b < 8 || b%8 != 0 || b > maxBlock {
			errs = append(errs, fmt.Errorf("--block %d: want a multiple of 8 up to %d", b, maxBlock))
		}
	}
	for _, d := range c.Depths {
		if d < 1 || d > maxDepth {
			errs = append(errs, fmt.Errorf("--depth %d: want 1 to %d", d, maxDepth))
		}
	}
	if c.Rounds < 1 || c.Row <= 0 || len(c.BlockBytes) == 0 || len(c.Depths) == 0 {
		errs = append(errs, errors.New("nothing to do: want at least one round, row time, block size and depth"))
	}
	return errors.Join(errs...)
}

// Run measures all rounds, writes rdma.json (medians) and rdma-rounds.json to c.Out, and returns the rounds. An implementation that is not there, or fails, is left out from
// there on, and Progress told why; weft's failure ends the run.
func Run(ctx context.Context, c Config) (rounds [][]Record, err error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	e, err := open(c.Device)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	rows := &rows{c: c, end: e, peer: peer{c.Peer}, without: map[string]bool{Perftest: !c.Perftest, CLoop: c.CLoop == ""}}
	for n := 1; n <= c.Rounds; n++ {
		var round []Record
		for _, block := range c.BlockBytes {
			for _, depth := range c.Depths {
				rs, err := rows.row(ctx, block, depth)
				if err != nil {
					return rounds, fmt.Errorf("blocks of %d bytes, %d in flight: %w", block, depth, err)
				}
				fmt.Fprintf(c.Progress, "round %d of %d, %d bytes, %d in flight:%s\n", n, c.Rounds, block, depth, rates(rs))
				round = append(round, rs...)
			}
		}
		rounds = append(rounds, round)
	}
	if c.Out == "" {
		return rounds, nil
	}
	return rounds, write(c.Out, rounds)
}

func write(dir string, all [][]Record) error {
	return errors.Join(summary.WriteJSON(filepath.Join(dir, "rdma.json"), Medians(all)), summary.WriteJSON(filepath.Join(dir, "rdma-rounds.json"), all))
}

func rates(rs []Record) (text string) {
	for _, r := range rs {
		text += fmt.Sprintf(" %s %.3f GB/s", r.Impl, r.GBPerS)
	}
	return text
}

// rows measures rows, with what is there.
type rows struct {
	c       Config
	end     *end
	peer    peer
	without map[string]bool // implementations
}

func (r *rows) row(ctx context.Context, block, depth int) ([]Record, error) {
	weft, err := r.end.weft(ctx, r.peer, block, depth, r.c.Row)
	if err != nil {
		return nil, err
	}
	rs := []Record{weft}
	// perftest measures a number of READs, not a time: as many as weft did, and no fewer than it takes.
	iterations := max(int(weft.GBPerS*1e9/float64(block)*r.c.Row.Seconds()), depth, 5)
	for _, other := range []struct {
		impl    string
		measure func() (Record, error)
	}{
		{Perftest, func() (Record, error) { return r.end.perftest(ctx, r.peer, block, depth, iterations) }},
		{CLoop, func() (Record, error) { return r.end.cloop(ctx, r.c.CLoop, block, depth, r.c.Row) }},
	} {
		if r.without[other.impl] {
			continue
		}
		rec, err := other.measure()
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			r.without[other.impl] = true
			fmt.Fprintf(r.c.Progress, "going on without %s: %v\n", other.impl, err)
		default:
			rs = append(rs, rec)
		}
	}
	return rs, nil
}

// cloop runs the C loop, whose ends are both on this device.
func (e *end) cloop(ctx context.Context, path string, block, depth int, d time.Duration) (Record, error) {
	addr := e.addr.String()
	cmd := exec.CommandContext(ctx, path, addr, addr, strconv.Itoa(block), strconv.Itoa(depth), strconv.FormatFloat(d.Seconds(), 'f', 3, 64))
	out, err := cmd.Output()
	if err != nil {
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return Record{}, err
	}
	r, reads, err := parseCLoop(out)
	r.BlockBytes, r.Depth = block, depth
	r.CPUSecPerGB = cpuOf(cmd.ProcessState) / (reads * float64(block) / 1e9)
	return r, err
}

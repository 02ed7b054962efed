package all

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"weft/bench/fetch"
	"weft/bench/rdma"
	"weft/bench/summary"
)

// Config is one run.
type Config struct {
	Hosts      []string // the reader, and the owner of what it reads
	Shell      string   // what runs a line on a host: ssh
	Weft       string   // the program on the hosts
	Out        string   // directory of the results
	Rounds     int
	Row        time.Duration
	BlockBytes []int
	Depths     []int
	Progress   io.Writer
}

// streams are how many TCP connections are measured: one often does not fill a fast link.
var streams = []int{1, 4}

// Run looks at both hosts, measures all rounds, writes all.json and all.txt to c.Out, and returns the report.
func Run(ctx context.Context, c Config) (*Report, error) {
	if len(c.Hosts) != 2 || strings.TrimSpace(c.Shell) == "" || c.Rounds < 1 || len(c.BlockBytes) == 0 {
		return nil, errors.New("want two hosts as --hosts A,B, a shell, a round and a block size")
	}
	var hosts [2]host
	c.Progress = &shared{to: c.Progress}
	r := &Report{}
	for i, name := range c.Hosts {
		hosts[i] = host{name, strings.Fields(c.Shell), c.Weft, c.Progress}
		fmt.Fprintf(c.Progress, "looking at %s\n", name)
		seen, err := look(ctx, hosts[i])
		if err != nil {
			return nil, fmt.Errorf("%w; is %s there, or named by --weft?", err, c.Weft)
		}
		r.Hosts = append(r.Hosts, seen)
	}
	reader, owner := hosts[0], hosts[1]
	served, err := owner.start(ctx, c.Weft+" bench rdma --serve")
	if err != nil {
		return nil, err
	}
	defer func() { _, _ = served.stop() }()
	ip, _, err := net.SplitHostPort(served.first)
	if err != nil {
		return nil, err
	}
	var rounds [][]rdma.Record
	for n := 1; n <= c.Rounds; n++ {
		var rows []rdma.Record
		line := fmt.Sprintf("%s bench rdma --json --rounds 1 --row %v --peer %s --block %s --depth %s", c.Weft, c.Row, served.first, numbers(c.BlockBytes), numbers(c.Depths))
		if err := reader.get(ctx, line, &rows); err != nil {
			return nil, err
		}
		rounds = append(rounds, rows)
		for _, block := range c.BlockBytes {
			for _, n := range streams {
				t, err := c.tcp(ctx, reader, owner, ip, block, n)
				if err != nil {
					return nil, fmt.Errorf("TCP, %d bytes: %w", block, err)
				}
				r.add(t)
			}
		}
		fmt.Fprintf(c.Progress, "round %d of %d done\n", n, c.Rounds)
	}
	r.rounds, r.RDMA = rounds, rdma.Medians(rounds)
	return r, c.write(r)
}

// tcp streams blocks from the owner to the reader, over the same link.
func (c Config) tcp(ctx context.Context, reader, owner host, ip string, block, n int) (t TCP, err error) {
	s, err := owner.start(ctx, fmt.Sprintf("f=$(mktemp) && head -c %d /dev/zero >$f && %s bench raw serve --listen %s --file $f; e=$?; rm -f $f; exit $e",
		block, c.Weft, net.JoinHostPort(ip, "0")))
	if err != nil {
		return t, err
	}
	line := fmt.Sprintf("%s bench raw read --addr %s --block %d --for %v", c.Weft, net.JoinHostPort(ip, s.first), block, c.Row)
	t = TCP{BlockBytes: block, Streams: n}
	type result struct {
		read fetch.RawRead
		err  error
	}
	results := make(chan result)
	for range n {
		go func() {
			var got result
			got.err = reader.get(ctx, line, &got.read)
			results <- got
		}()
	}
	var gb, cpu float64
	for range n {
		got := <-results
		err = errors.Join(err, got.err)
		bytes := float64(got.read.Blocks) * float64(block) / 1e9
		gb += bytes
		cpu += got.read.CPUSeconds
		if got.err == nil {
			t.GBPerS += bytes / got.read.Seconds
		}
	}
	rest, stopErr := s.stop()
	var served fetch.RawServed
	if err = errors.Join(err, stopErr); err == nil {
		err = json.Unmarshal(rest, &served)
	}
	t.CPUSecPerGB = (cpu + served.CPUSeconds) / gb
	return t, err
}

// shared is a writer for what runs at the same time.
type shared struct {
	mu sync.Mutex
	to io.Writer
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.to.Write(b)
}

func numbers(vs []int) string {
	return strings.Join(strings.Fields(strings.Trim(fmt.Sprint(vs), "[]")), ",")
}

func (c Config) write(r *Report) error {
	var text strings.Builder
	return errors.Join(summary.WriteJSON(filepath.Join(c.Out, "all.json"), r), r.Write(&text), os.WriteFile(filepath.Join(c.Out, "all.txt"), []byte(text.String()), 0o644))
}

// add notes a measurement of TCP; the median of all rounds counts.
func (r *Report) add(t TCP) {
	i := slices.IndexFunc(r.TCP, func(o TCP) bool { return o.BlockBytes == t.BlockBytes && o.Streams == t.Streams })
	if i < 0 {
		i = len(r.TCP)
		r.TCP = append(r.TCP, t)
	}
	row := &r.TCP[i]
	row.all = append(row.all, t)
	slices.SortFunc(row.all, func(a, b TCP) int { return cmp.Compare(a.GBPerS, b.GBPerS) })
	m := row.all[len(row.all)/2]
	row.GBPerS, row.CPUSecPerGB = m.GBPerS, m.CPUSecPerGB
}

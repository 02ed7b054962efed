package sample

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"

	"weft/bench/result"
)

// portCounters are the files of a port that count its traffic: hardware counts words of four bytes, soft-RoCE only packets.
var portCounters = []struct {
	file, name string
	times      float64
}{
	{"counters/port_xmit_data", result.RDMASent, 4},
	{"counters/port_rcv_data", result.RDMARecv, 4},
	{"hw_counters/sent_pkts", result.RDMASentPackets, 1},
	{"hw_counters/rcvd_pkts", result.RDMARecvPackets, 1},
}

type portCount struct {
	port, name string // mlx5_0/1
	total      float64
}

// readPorts gives the counters of all ports of the machine's RDMA devices.
func readPorts(root fs.FS) []portCount {
	ports, _ := fs.Glob(root, "sys/class/infiniband/*/ports/*") // fails for a bad pattern alone
	var counts []portCount
	for _, port := range ports {
		name := path.Base(path.Dir(path.Dir(port))) + "/" + path.Base(port)
		for _, c := range portCounters {
			b, err := fs.ReadFile(root, path.Join(port, c.file))
			if err != nil {
				continue // a device of the other kind
			}
			if v, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err == nil {
				counts = append(counts, portCount{name, c.name, float64(v) * c.times})
			}
		}
	}
	return counts
}

// NVIDIA is the command for Config.GPU, or nil where there is no nvidia-smi.
func NVIDIA() []string {
	program, err := exec.LookPath("nvidia-smi")
	if err != nil {
		return nil
	}
	return []string{program, "--query-gpu=index,memory.used", "--format=csv,noheader,nounits", "--loop=1"}
}

// watchGPUs runs the command until ctx ends, and keeps what it said last.
func (s *Sampler) watchGPUs(ctx context.Context, command []string) error {
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.WaitDelay = time.Second
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("sampling GPUs: %w", err)
	}
	s.done.Go(func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			index, used, _ := strings.Cut(lines.Text(), ",")
			mib, err := strconv.ParseUint(strings.TrimSpace(used), 10, 64)
			if err != nil {
				s.failed(fmt.Errorf("sampling GPUs: %s says %q", command[0], lines.Text()))
				continue
			}
			s.mu.Lock()
			s.gpus = maps.Clone(s.gpus) // the old one is being read
			s.gpus[strings.TrimSpace(index)] = float64(mib << 20)
			s.mu.Unlock()
		}
		if err := cmp.Or(c.Wait(), errors.New("exit status 0")); ctx.Err() == nil {
			s.failed(fmt.Errorf("sampling GPUs: %s ended: %w", command[0], err))
		}
	})
	return nil
}

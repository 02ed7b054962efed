package shuffle

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"weft/bench/cluster"
)

// received are the bytes that daemons received from others, by transport.
type received map[string]int64

// add adds what one daemon's status tells.
func (r received) add(status []byte) error {
	var s struct {
		Transfers []struct {
			Transport, Direction string
			Bytes                int64
		}
	}
	if err := json.Unmarshal(status, &s); err != nil {
		return fmt.Errorf("status of a daemon: %w", err)
	}
	for _, t := range s.Transfers {
		if t.Direction == "received" {
			r[t.Transport] += t.Bytes
		}
	}
	return nil
}

// across are the bytes that came over the network: not those of executors of the same host.
func (r received) across() int64 { return r["tcp"] + r["rdma"] }

// askDaemons adds up what the daemons of all hosts received so far.
func askDaemons(ctx context.Context, cl cluster.Cluster, weft string, workers int) (received, error) {
	sum := received{}
	for i := range workers + 1 {
		out, err := cl.Output(ctx, "exec", "h"+strconv.Itoa(i), weft, "status", "--json")
		if err != nil {
			return nil, err
		}
		if err := sum.add(out); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

func cpuSeconds(ctx context.Context, cl cluster.Cluster) (float64, error) {
	out, err := cl.Output(ctx, "cpu")
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}

var summaryLine = regexp.MustCompile(`weft: summary .*netty_bytes=(\d+)`)

// nettyBytes adds up the lines that the shim logs at each JVM's end, and counts them.
func nettyBytes(logs []string) (bytes int64, lines int, err error) {
	for _, log := range logs {
		for _, m := range summaryLine.FindAllStringSubmatch(log, -1) {
			n, err := strconv.ParseInt(m[1], 10, 64)
			if err != nil {
				return 0, 0, err
			}
			bytes += n
			lines++
		}
	}
	return bytes, lines, nil
}

// awaitNettyBytes waits for the lines of the driver and all executors; these may end after the driver.
func awaitNettyBytes(ctx context.Context, dir, app, driverLog string, workers int) (int64, error) {
	for deadline := time.Now().Add(time.Minute); ; {
		files, err := filepath.Glob(filepath.Join(dir, "h*/executors", app, "*/stderr.log"))
		if err != nil {
			return 0, err
		}
		var logs []string
		for _, f := range append(files, driverLog) {
			b, err := os.ReadFile(f)
			if err != nil {
				return 0, err
			}
			logs = append(logs, string(b))
		}
		bytes, lines, err := nettyBytes(logs)
		if err != nil || lines == workers+1 {
			return bytes, err
		}
		if lines > workers+1 || time.Now().After(deadline) {
			return 0, fmt.Errorf("%d of the driver and %d executors told what went by Netty", lines, workers)
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

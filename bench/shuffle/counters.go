package shuffle

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"weft/bench/cluster"
)

// counters are the daemons' of all hosts, added up.
type counters struct {
	received map[string]int64 // bytes from others, by transport
	cpu      float64          // seconds
}

// add adds what one daemon's status tells.
func (c *counters) add(status []byte) error {
	var s struct {
		CPU       float64 `json:"cpu_seconds"`
		Transfers []struct {
			Transport, Direction string
			Bytes                int64
		}
	}
	if err := json.Unmarshal(status, &s); err != nil {
		return fmt.Errorf("status of a daemon: %w", err)
	}
	c.cpu += s.CPU
	if c.received == nil {
		c.received = map[string]int64{}
	}
	for _, t := range s.Transfers {
		if t.Direction == "received" {
			c.received[t.Transport] += t.Bytes
		}
	}
	return nil
}

// across are the bytes that came over the network: not those of executors of the same host.
func (c *counters) across() int64 { return c.received["tcp"] + c.received["rdma"] }

// askDaemons adds up what the daemons of all hosts counted so far.
func askDaemons(ctx context.Context, cl cluster.Cluster, weft string, workers int) (sum counters, err error) {
	for i := range workers + 1 {
		out, err := cl.Output(ctx, "exec", "h"+strconv.Itoa(i), weft, "status", "--json")
		if err != nil {
			return sum, err
		}
		if err := sum.add(out); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

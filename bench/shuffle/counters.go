package shuffle

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

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

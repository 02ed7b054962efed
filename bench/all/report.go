package all

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"weft/bench/rdma"
)

// Report is build/bench/all.json. The first host read from the second.
type Report struct {
	Hosts []Host        `json:"hosts"`
	RDMA  []rdma.Record `json:"rdma"` // as in rdma.json
	TCP   []TCP         `json:"tcp"`

	rounds [][]rdma.Record
}

// Host is what was seen of a host.
type Host struct {
	Name    string  `json:"name"`
	Version string  `json:"version"`
	Doctor  []Check `json:"doctor"`
	Links   string  `json:"links"` // its RDMA interfaces, and PFC on them, as its tools print it
}

// Check is a line of `weft doctor --json`.
type Check struct {
	Check   string `json:"check"`
	Outcome string `json:"outcome"`
	Found   string `json:"found"`
	Todo    string `json:"todo,omitempty"`
}

// TCP is a stream of sendfile into shared memory, without requests: the round with the median rate.
type TCP struct {
	BlockBytes  int     `json:"block_bytes"`
	Streams     int     `json:"streams"`
	GBPerS      float64 `json:"gb_per_s"`
	CPUSecPerGB float64 `json:"cpu_s_per_gb"`

	all []TCP
}

// links prints, on a host, the interfaces of its RDMA devices, what they drop, and PFC where one of its two tools is there.
const links = `for n in $(cat /sys/class/infiniband/*/ports/*/gid_attrs/ndevs/* 2>/dev/null | sort -u); do
ip -s link show dev "$n"
if command -v dcb >/dev/null; then dcb pfc show dev "$n" 2>&1 || echo "PFC: dcb could not look at $n"
elif command -v mlnx_qos >/dev/null; then mlnx_qos -i "$n" 2>&1 || echo "PFC: mlnx_qos could not look at $n"
else echo "PFC: not looked at, neither dcb (package iproute2) nor mlnx_qos is here"; fi
done`

func look(ctx context.Context, h host) (Host, error) {
	seen := Host{Name: h.name}
	version, err := h.run(ctx, h.weft+" version")
	if err != nil {
		return seen, err
	}
	seen.Version = strings.TrimSpace(string(version))
	out, err := h.run(ctx, h.weft+" doctor --json || true") // it fails where a check does
	if err != nil {
		return seen, err
	}
	if err := json.Unmarshal(out, &seen.Doctor); err != nil {
		return seen, fmt.Errorf("%s: weft doctor printed %q: %w", h.name, out, err)
	}
	out, err = h.run(ctx, links)
	seen.Links = strings.TrimSpace(string(out))
	return seen, err
}

// Write prints the report for reading.
func (r *Report) Write(w io.Writer) error {
	for _, h := range r.Hosts {
		fmt.Fprintf(w, "%s, %s\n", h.Name, h.Version)
		for _, c := range h.Doctor {
			if c.Outcome != "ok" || strings.HasPrefix(c.Check, "RDMA") {
				fmt.Fprintf(w, "  %-5s %s: %s\n", c.Outcome, c.Check, c.Found)
			}
		}
		for line := range strings.Lines(h.Links) {
			fmt.Fprintf(w, "  %s\n", strings.TrimRight(line, "\n"))
		}
	}
	fmt.Fprintf(w, "\nREADs by %s from %s\n", r.Hosts[0].Name, r.Hosts[1].Name)
	if err := rdma.WriteTable(w, r.rounds); err != nil {
		return err
	}
	fmt.Fprint(w, "\nTCP on the same link, and the best READ of weft of the same size beside it\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "block\tstreams\tGB/s TCP\tGB/s READ\tREAD to TCP\tCPU s/GB TCP\tCPU s/GB READ\t")
	for _, row := range r.TCP {
		best := rdma.Record{}
		for _, m := range r.RDMA {
			if m.Impl == rdma.Weft && m.BlockBytes == row.BlockBytes && m.GBPerS > best.GBPerS {
				best = m
			}
		}
		fmt.Fprintf(t, "%d\t%d\t%.3f\t%.3f\t%.2f\t%.3f\t%.3f\t\n", row.BlockBytes, row.Streams, row.GBPerS, best.GBPerS, best.GBPerS/row.GBPerS,
			row.CPUSecPerGB, best.CPUSecPerGB)
	}
	return t.Flush()
}

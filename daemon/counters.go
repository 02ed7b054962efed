package daemon

import (
	"cmp"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"weft/internal/status"
)

// counters fills in what the metrics know already: what moved, what did not, and how much is open.
func counters(s *status.Status, metrics prometheus.Gatherer) error {
	families, err := metrics.Gather()
	if err != nil {
		return err
	}
	moved := newTally[[2]string, status.Transfer]()
	failed := newTally[string, status.Count]()
	fallbacks := newTally[string, status.Count]()
	for _, family := range families {
		for _, m := range family.GetMetric() {
			n := int64(m.GetCounter().GetValue() + m.GetGauge().GetValue())
			if n == 0 {
				continue
			}
			label := map[string]string{}
			for _, pair := range m.GetLabel() {
				label[pair.GetName()] = pair.GetValue()
			}
			route := [2]string{label["transport"], label["direction"]}
			reason := label["reason"]
			switch family.GetName() {
			case "weft_map_outputs":
				s.MapOutputs = int(n)
			case "weft_open_files":
				s.OpenFiles = int(n)
			case "weft_hidden_blocks_total":
				if s.RDMA != nil {
					s.RDMA.HiddenBlocks = n
				}
			case "weft_quota_refusals_total":
				s.Refused = append(s.Refused, status.Refusal{Resource: label["resource"], Times: n})
			case "weft_transfer_blocks_total":
				moved.at(route).Blocks = n
			case "weft_transfer_bytes_total":
				moved.at(route).Bytes = n
			case "weft_failed_blocks_total":
				failed.at(reason).Blocks = n
			case "weft_fallback_blocks_total":
				fallbacks.at(reason).Blocks = n
			case "weft_fallback_bytes_total":
				fallbacks.at(reason).Bytes = n
			}
		}
	}
	for route, i := range moved.index {
		moved.rows[i].Transport, moved.rows[i].Direction = route[0], route[1]
	}
	for reason, i := range failed.index {
		failed.rows[i].Reason = reason
	}
	for reason, i := range fallbacks.index {
		fallbacks.rows[i].Reason = reason
	}
	s.Transfers, s.Failed, s.Fallbacks = moved.rows, failed.rows, fallbacks.rows
	slices.SortFunc(s.Transfers, func(a, b status.Transfer) int {
		return cmp.Or(cmp.Compare(a.Transport, b.Transport), cmp.Compare(a.Direction, b.Direction))
	})
	slices.SortFunc(s.Fallbacks, func(a, b status.Count) int { return cmp.Compare(a.Reason, b.Reason) })
	return nil
}

// tally is rows by key.
type tally[K comparable, R any] struct {
	index map[K]int
	rows  []R
}

func newTally[K comparable, R any]() *tally[K, R] {
	return &tally[K, R]{index: map[K]int{}, rows: []R{}}
}

func (t *tally[K, R]) at(key K) *R {
	i, ok := t.index[key]
	if !ok {
		i = len(t.rows)
		t.index[key] = i
		t.rows = append(t.rows, *new(R))
	}
	return &t.rows[i]
}

package daemon

import (
	"reflect"
	"testing"

	"weft/internal/metrics"
	"weft/internal/status"
)

// Every counter of the status is read from the metric that counts it.
func TestCounters(t *testing.T) {
	m := metrics.NewSet()
	m.BlocksTotal("tcp", metrics.Received).Add(3)
	m.BytesTotal("tcp", metrics.Received).Add(300)
	m.BlocksTotal("mem", metrics.Served).Add(1)
	m.FailedBlocks("no_space").Add(4)
	m.FallbackBlocks("peer_lost").Add(5)
	m.FallbackBytes("peer_lost").Add(500)
	m.FallbackBlocks("disabled").Add(0)
	m.MapOutputs.Set(6)
	m.OpenFiles.Set(7)
	m.QuotaRefusals("sessions").Add(8)
	var got status.Status
	if err := counters(&got, m.Registry); err != nil {
		t.Fatal(err)
	}
	want := status.Status{
		MapOutputs: 6, OpenFiles: 7,
		Transfers: []status.Transfer{
			{Transport: "mem", Direction: "served", Blocks: 1},
			{Transport: "tcp", Direction: "received", Blocks: 3, Bytes: 300},
		},
		Failed:    []status.Count{{Reason: "no_space", Blocks: 4}},
		Fallbacks: []status.Count{{Reason: "peer_lost", Blocks: 5, Bytes: 500}},
		Refused:   []status.Refusal{{Resource: "sessions", Times: 8}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

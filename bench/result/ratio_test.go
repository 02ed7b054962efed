package result

import (
	"reflect"
	"slices"
	"testing"
)

func TestRatios(t *testing.T) {
	timed := func(impl string, repeat int, seconds float64) Run {
		r := lenet(impl, repeat)
		r.Seconds = seconds
		return r
	}
	failed := timed("weft-tcp", 4, 1)
	failed.Failure = "an executor was lost"
	alone := timed("weft-tcp", 1, 10) // another comparison, whose stock run is missing
	alone.Batch = 8
	soft := timed("weft-rdma", 1, 1) // in another comparison, over soft-RoCE
	soft.Batch, soft.Device = 16, DeviceName("rxe0", true)
	softStock := timed("stock", 1, 100)
	softStock.Batch = 16
	runs := []Run{
		soft, softStock,
		timed("stock", 1, 10), timed("weft-tcp", 1, 5), // the machine doubled its speed from repeat to repeat
		timed("stock", 2, 20), timed("weft-tcp", 2, 8), timed("weft-rdma", 2, 40),
		timed("stock", 3, 40), timed("weft-tcp", 3, 10), timed("weft-rdma", 3, 0), // a figure that was not seen
		timed("stock", 4, 80), failed,
		timed("weft-tcp", 5, 1), // stock is still to come
		alone,
	}
	arm := lenet("", 0).Config
	want := []Ratio{
		{Arm: alone.Arm(), Impl: "weft-tcp"},
		{Arm: soft.Arm(), Impl: "weft-rdma", Why: WhyNoRatio},
		{Arm: arm, Impl: "weft-rdma", Median: 0.5, Min: 0.5, Max: 0.5, Pairs: 1},
		{Arm: arm, Impl: "weft-tcp", Median: 2.5, Min: 2, Max: 4, Pairs: 3},
	}
	got := Ratios(runs, func(r Run) float64 { return r.Seconds })
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	slices.Reverse(runs)
	if again := Ratios(runs, func(r Run) float64 { return r.Seconds }); !reflect.DeepEqual(again, want) {
		t.Errorf("in another order of runs: %+v", again)
	}
}

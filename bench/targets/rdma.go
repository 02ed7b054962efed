package targets

import (
	"errors"

	"weft/bench/rdma"
)

// errNoPerftest tells how to have weft's READs measured beside what they are held against.
var errNoPerftest = errors.New("perftest was not measured beside weft at that block size: `make bench-rdma RIG=tcg` does, in a guest with soft-RoCE, " +
	"or `weft bench rdma` on a machine with a device and perftest installed")

func rdmaFigures(dir string) []Figure {
	rounds, err := read[[][]rdma.Record](dir, "rdma-rounds.json", "make bench-rdma RIG=tcg")
	var shares, latencies []float64
	for _, round := range rounds {
		if weft, perftest := best(round, rdma.Weft, mib), best(round, rdma.Perftest, mib); weft > 0 && perftest > 0 {
			shares = append(shares, weft/perftest)
		}
		if weft, perftest := p50(round, rdma.Weft, 4*kib), p50(round, rdma.Perftest, 4*kib); weft > 0 && perftest > 0 {
			latencies = append(latencies, weft/perftest)
		}
	}
	return []Figure{
		target{"READs over rdma, 1 MiB: GB/s, weft to ib_read_bw", 0.95, false}.judge(shares, orNoPerftest(shares, err)),
		target{"READs over rdma, 4 KiB: p50 latency, weft to ib_read_lat", 1.3, true}.judge(latencies, orNoPerftest(latencies, err)),
	}
}

func orNoPerftest(vs []float64, err error) error {
	if err == nil && len(vs) == 0 {
		return errNoPerftest
	}
	return err
}

// best is the rate with as many READs in flight as suit the implementation best.
func best(round []rdma.Record, impl string, block int) (rate float64) {
	for _, r := range round {
		if r.Impl == impl && r.BlockBytes == block {
			rate = max(rate, r.GBPerS)
		}
	}
	return rate
}

// p50 is that of one READ at a time.
func p50(round []rdma.Record, impl string, block int) float64 {
	for _, r := range round {
		if r.Impl == impl && r.BlockBytes == block && r.Depth == 1 {
			return r.P50us
		}
	}
	return 0
}

package targets

import (
	"fmt"

	"weft/bench/fetch"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// rates are one round's records of one row.
type rates struct{ weft, netty, raw *fetch.Record }

// row finds map outputs' blocks of one size and request. The raw loop has no requests, so it is the same beside all of them.
func row(round []fetch.Record, block, request int) (r rates) {
	for i, rec := range round {
		if rec.From != "map output" || rec.BlockBytes != block {
			continue
		}
		switch {
		case rec.Impl == "raw":
			r.raw = &round[i]
		case rec.RequestBlocks == request && rec.Impl == "weft":
			r.weft = &round[i]
		case rec.RequestBlocks == request && rec.Impl == "netty":
			r.netty = &round[i]
		}
	}
	return r
}

// over is a figure in each round that has all three.
func over(rounds [][]fetch.Record, block, request int, figure func(rates) float64) (vs []float64) {
	for _, round := range rounds {
		if r := row(round, block, request); r.weft != nil && r.netty != nil && r.raw != nil {
			vs = append(vs, figure(r))
		}
	}
	return vs
}

func fetchFigures(dir string) []Figure {
	rounds, err := read[[][]fetch.Record](dir, "fetch-rounds.json", "weft bench fetch --block 1024,4096,1048576")
	of := func(t target, block, request int, figure func(rates) float64) Figure {
		return t.judge(over(rounds, block, request, figure), err)
	}
	speed := of(target{"fetch over tcp, 1 MiB blocks: GB/s, weft to Netty", 2, false}, mib, 100,
		func(r rates) float64 { return r.weft.GBPerS / r.netty.GBPerS })
	speed.Note = limit("raw loop to Netty in the same rounds", of(target{}, mib, 100, func(r rates) float64 { return r.raw.GBPerS / r.netty.GBPerS }))
	return []Figure{
		speed,
		of(target{"fetch over tcp, 1 KiB blocks, 100 in a request: blocks/s, weft to Netty", 5, false}, kib, 100,
			func(r rates) float64 { return r.weft.BlocksPerS / r.netty.BlocksPerS }),
		of(target{"fetch over tcp, one 4 KiB block: p50 latency, Netty to weft", 1, false}, 4*kib, 1,
			func(r rates) float64 { return r.netty.P50us / r.weft.P50us }),
		of(target{"fetch over tcp, 1 MiB blocks: GB/s, weft to the raw loop", 0.9, false}, mib, 100,
			func(r rates) float64 { return r.weft.GBPerS / r.raw.GBPerS }),
		cpuFigure(rounds, err),
		of(target{"fetch over tcp, 1 MiB blocks: bytes allocated in the JVM for each byte", 0.02, true}, mib, 100,
			func(r rates) float64 { return r.weft.JVMAllocPerByte }),
	}
}

// cpuFigure has no value where Netty took no more than the raw loop in some round: to leave such rounds out would favour weft.
func cpuFigure(rounds [][]fetch.Record, err error) Figure {
	without := 0
	vs := over(rounds, mib, 100, func(r rates) float64 {
		above := r.netty.CPUSecPerGB - r.raw.CPUSecPerGB
		if above <= 0 {
			without++
		}
		return (r.weft.CPUSecPerGB - r.raw.CPUSecPerGB) / above
	})
	if without > 0 {
		err = fmt.Errorf("in %d of %d rounds Netty took no more CPU than the raw loop, so there is no ratio: measure on a quiet machine", without, len(vs))
	}
	f := target{"fetch over tcp, 1 MiB blocks: CPU s/GB above the raw loop's, weft to Netty", 0.4, true}.judge(vs, err)
	f.Note = limit("the raw loop with a CRC32C of what arrives, and nothing else of weft, to Netty in the same rounds", target{}.judge(over(rounds, mib, 100, checkedAbove), err))
	return f
}

// checkedAbove is what it costs to check what arrives, to what Netty takes above the raw loop.
func checkedAbove(r rates) float64 {
	return (r.raw.CheckedCPU - r.raw.CPUSecPerGB) / (r.netty.CPUSecPerGB - r.raw.CPUSecPerGB)
}

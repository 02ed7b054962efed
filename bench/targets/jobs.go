package targets

import (
	"maps"
	"slices"

	"weft/bench/result"
	"weft/bench/shuffle"
)

// Folders below that of all results, where `make bench` has the two shuffles written.
const (
	LargeBlocks = "large-blocks" // 2 GiB in blocks of 2 MiB
	SmallBlocks = "small-blocks" // 10^6 blocks of 1 KB
)

func jobFigures(dir string) []Figure {
	large, largeErr := read[[]shuffle.Record](dir, LargeBlocks+"/shuffle.json", "make bench")
	small, smallErr := read[[]shuffle.Record](dir, SmallBlocks+"/shuffle.json", "make bench")
	rows, trainErr := read[[]result.Row](dir, "train.json", "make bench-train")
	return []Figure{
		readStage(target{"job on two hosts, 2 GiB in 2 MiB blocks: time of the read stage, stock to weft", 1.5, false},
			large, largeErr, shuffle.Size{Maps: 32, Reduces: 32, Records: 1024, RecordBytes: 64 * kib}),
		readStage(target{"job on two hosts, 10^6 blocks of 1 KB: time of the read stage, stock to weft", 2, false},
			small, smallErr, shuffle.Size{Maps: 1000, Reduces: 1000, Records: 1000, RecordBytes: 1000}),
		target{"BigDL on two hosts, VGG, batch 8: get weights + aggregate gradient, stock to weft", 2, false}.
			judge(exchange(rows), trainErr),
	}
}

// readStage judges runs of that size. Beside it stands the same job without anything that is another host's, in rounds that have all three.
func readStage(t target, records []shuffle.Record, err error, size shuffle.Size) Figure {
	weft, local := readRatios(records, "weft-tcp", size), readRatios(records, shuffle.Local, size)
	maps.DeleteFunc(local, func(in run, _ float64) bool { return weft[in] == 0 })
	f := t.judge(slices.Collect(maps.Values(weft)), err)
	f.Note = limit("to compare with, not a limit: stock to stock with all cores in one executor, where no block is remote",
		target{}.judge(slices.Collect(maps.Values(local)), err))
	return f
}

// run is a job in a round.
type run struct {
	job   string
	round int
}

// readRatios is the time of stock Spark's read stage to that of the implementation, in each round of runs of that size, over an unshaped link,
// that has both.
func readRatios(records []shuffle.Record, impl string, size shuffle.Size) map[run]float64 {
	seconds := func(impl string, executors int) map[run]float64 {
		all := map[run]float64{}
		for _, r := range records {
			if r.Impl == impl && r.Executors == executors && r.Size == size && r.Link == "as is" && r.Failure == "" && r.Read > 0 {
				all[run{r.Job, r.Round}] = r.Read
			}
		}
		return all
	}
	executors := 2
	if impl == shuffle.Local {
		executors = 1
	}
	ratios, stock := seconds(impl, executors), seconds("stock", 2)
	for in, s := range ratios {
		ratios[in] = stock[in] / s
	}
	maps.DeleteFunc(ratios, func(_ run, ratio float64) bool { return ratio == 0 })
	return ratios
}

// exchange is the ratio in each repeat that has both, of what an iteration spends on the parameters' blocks.
func exchange(rows []result.Row) (vs []float64) {
	seconds := func(r result.Row) float64 { return r.GetWeightsSeconds + r.AggregateGradientSeconds }
	for _, w := range rows {
		if w.Model != "vgg" || w.Batch != 8 || w.Executors != 2 || w.Link != "as is" || w.Impl != "weft-tcp" || w.Failure != "" || seconds(w) == 0 {
			continue
		}
		for _, s := range rows {
			if s.Impl == result.Stock && s.Failure == "" && seconds(s) > 0 && s.Model == w.Model && s.Data == w.Data && s.Spark == w.Spark &&
				s.Link == w.Link && s.Executors == w.Executors && s.Cores == w.Cores && s.Batch == w.Batch && s.Repeat == w.Repeat {
				vs = append(vs, seconds(s)/seconds(w))
			}
		}
	}
	return vs
}

package targets

import (
	"maps"
	"slices"
	"strings"

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
		exchangeFigure(rows, trainErr),
	}
}

// readStage judges runs of that size. Beside it stand, of the same rounds, what it would be if transfers cost nothing, and the same job without anything that is
// another host's.
func readStage(t target, records []shuffle.Record, err error, size shuffle.Size) Figure {
	of := func(impl string, seconds func(shuffle.Record) float64) []float64 {
		ratios := readRatios(records, impl, size, seconds)
		weft := readRatios(records, "weft-tcp", size, readSeconds)
		maps.DeleteFunc(ratios, func(in run, _ float64) bool { return weft[in] == 0 })
		return slices.Collect(maps.Values(ratios))
	}
	f := t.judge(of("weft-tcp", readSeconds), err)
	notes := []string{
		limit("if weft's tasks had waited for no block, and its daemons had taken no CPU time", target{}.judge(of("weft-tcp", freeSeconds), err)),
		limit("to compare with, not a limit: stock to stock with all cores in one executor, where no block is remote", target{}.judge(of(shuffle.Local, readSeconds), err)),
	}
	f.Note = strings.Join(slices.DeleteFunc(notes, func(note string) bool { return note == "" }), "; ")
	return f
}

func readSeconds(r shuffle.Record) float64 { return r.Read }

// freeSeconds is the least that the read stage could have taken with transfers for nothing: as if each second that the daemons took had been taken from tasks.
func freeSeconds(r shuffle.Record) float64 {
	return r.Read - (r.FetchWait+r.CPUWeft)/float64(r.Executors)
}

// run is a job in a round.
type run struct {
	job   string
	round int
}

// readRatios is the time of stock Spark's read stage to the seconds of the implementation, in each round of runs of that size, over an unshaped link,
// that has both.
func readRatios(records []shuffle.Record, impl string, size shuffle.Size, seconds func(shuffle.Record) float64) map[run]float64 {
	each := func(impl string, executors int, seconds func(shuffle.Record) float64) map[run]float64 {
		all := map[run]float64{}
		for _, r := range records {
			if r.Impl == impl && r.Executors == executors && r.Size == size && r.Link == "as is" && r.Failure == "" && seconds(r) > 0 {
				all[run{r.Job, r.Round}] = seconds(r)
			}
		}
		return all
	}
	executors := 2
	if impl == shuffle.Local {
		executors = 1
	}
	ratios, stock := each(impl, executors, seconds), each("stock", 2, readSeconds)
	for in, s := range ratios {
		ratios[in] = stock[in] / s
	}
	maps.DeleteFunc(ratios, func(_ run, ratio float64) bool { return ratio == 0 })
	return ratios
}

// exchangeFigure judges what an iteration of VGG spends on the parameters' blocks. Beside it stands what it would be if weft's fetches of them took no time.
func exchangeFigure(rows []result.Row, err error) Figure {
	spent := func(r result.Row) float64 { return r.GetWeightsSeconds + r.AggregateGradientSeconds }
	f := target{"BigDL on two hosts, VGG, batch 8: get weights + aggregate gradient, stock to weft", 2, false}.judge(exchange(rows, spent), err)
	f.Note = limit("if weft's fetches had taken no time", target{}.judge(exchange(rows, func(r result.Row) float64 { return spent(r) - r.ParameterFetchSeconds }), err))
	return f
}

// exchange is the ratio in each repeat that has both.
func exchange(rows []result.Row, seconds func(result.Row) float64) (vs []float64) {
	for _, w := range rows {
		if w.Model != "vgg" || w.Batch != 8 || w.Executors != 2 || w.Link != "as is" || w.Impl != "weft-tcp" || w.Failure != "" || seconds(w) <= 0 {
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

package targets

import (
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
		target{"job on two hosts, 2 GiB in 2 MiB blocks: time of the read stage, stock to weft", 1.5, false}.
			judge(readStage(large, shuffle.Size{Maps: 32, Reduces: 32, Records: 1024, RecordBytes: 64 * kib}), largeErr),
		target{"job on two hosts, 10^6 blocks of 1 KB: time of the read stage, stock to weft", 2, false}.
			judge(readStage(small, shuffle.Size{Maps: 1000, Reduces: 1000, Records: 1000, RecordBytes: 1000}), smallErr),
		target{"BigDL on two hosts, VGG, batch 8: get weights + aggregate gradient, stock to weft", 2, false}.
			judge(exchange(rows), trainErr),
	}
}

// readStage is the ratio in each round of runs of that size, over an unshaped link, that has both.
func readStage(records []shuffle.Record, size shuffle.Size) (vs []float64) {
	find := func(impl string, like shuffle.Record) float64 {
		for _, r := range records {
			if r.Impl == impl && r.Job == like.Job && r.Round == like.Round && r.Link == like.Link && r.Size == size && r.Failure == "" {
				return r.Read
			}
		}
		return 0
	}
	for _, r := range records {
		if weft, stock := find("weft-tcp", r), find("stock", r); r.Impl == "weft-tcp" && r.Link == "as is" && r.Executors == 2 && weft > 0 && stock > 0 {
			vs = append(vs, stock/weft)
		}
	}
	return vs
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

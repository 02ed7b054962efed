package targets

import (
	"fmt"

	"weft/bench/registry"
)

const (
	mapOutputs = 100_000
	reducers   = 1000
)

func registryFigures(dir string) []Figure {
	r, err := read[registry.Result](dir, "registry.json", "weft bench registry")
	if err == nil && (r.Outputs != mapOutputs || r.Reducers != reducers) {
		err = fmt.Errorf("registry.json is of %d map outputs of %d reducers: run `weft bench registry`", r.Outputs, r.Reducers)
	}
	figures := []Figure{
		target{fmt.Sprintf("registry, %d map outputs of %d reducers: bytes of memory", mapOutputs, reducers), gib, true}.judge([]float64{float64(r.TotalBytes)}, err),
	}
	for _, layout := range []string{registry.Warm, registry.Closed, registry.Cold} {
		for _, name := range []string{registry.OnePartition, registry.Partitions} {
			f := target{fmt.Sprintf("registry, %s, %s: µs to resolve", layout, name), 10, true}.judge(micros(r, layout, name), err)
			if layout == registry.Cold {
				f.Note = limit("both files of a map output opened, read and closed, by system calls alone, µs", target{}.judge(r.FilesAlone, err))
			}
			figures = append(figures, f)
		}
	}
	return figures
}

func micros(r registry.Result, layout, name string) []float64 {
	for _, row := range r.Resolve {
		if row.Layout == layout && row.Range == name {
			return row.Micros
		}
	}
	return nil
}

package report

import (
	"fmt"
	"image/color"
	"slices"
	"strings"

	"weft/bench/result"
)

// group is the runs of one comparison, or of several that are drawn together.
type group struct {
	key  result.Config
	runs []result.Run
}

// groupBy puts runs of equal keys together, in the order in which they come.
func groupBy(runs []result.Run, key func(result.Config) result.Config) []group {
	var gs []group
	for _, r := range runs {
		k := key(r.Config)
		i := slices.IndexFunc(gs, func(g group) bool { return g.key == k })
		if i < 0 {
			i, gs = len(gs), append(gs, group{key: k})
		}
		gs[i].runs = append(gs[i].runs, r)
	}
	return gs
}

// good leaves failed runs out: no plot and no average has them.
func good(runs []result.Run) []result.Run {
	return slices.DeleteFunc(slices.Clone(runs), func(r result.Run) bool { return r.Failure != "" })
}

// first is the first repeat of each implementation.
func first(runs []result.Run) []result.Run {
	var out []result.Run
	for _, r := range runs {
		if !slices.ContainsFunc(out, func(o result.Run) bool { return o.Impl == r.Impl }) {
			out = append(out, r)
		}
	}
	return out
}

// label says what the arms of a comparison have in common.
func label(c result.Config) string {
	words := fmt.Sprintf("%s, Spark %s, %s, %d x %d cores, batch %d, %s, %s", c.Model, c.Spark, linkLabel(c.Link), c.Executors, c.Cores, c.Batch,
		length(c), c.Data)
	if seed := fmt.Sprintf(", seed %d", c.Seed); !strings.HasSuffix(words, seed) { // that synthetic data were made of, as a rule
		words += seed
	}
	return words
}

func length(c result.Config) string {
	if c.Iterations > 0 {
		return fmt.Sprintf("%d iterations", c.Iterations)
	}
	return fmt.Sprintf("%d epochs", c.Epochs)
}

// linkLabel is the link's name, which says what it is shaped to.
func linkLabel(link string) string { return "link " + link }

var (
	grey    = color.RGBA{0x88, 0x88, 0x88, 0xff}
	palette = []color.Color{
		color.RGBA{0x00, 0x72, 0xb2, 0xff},
		color.RGBA{0xd5, 0x5e, 0x00, 0xff},
		color.RGBA{0x00, 0x9e, 0x73, 0xff},
		color.RGBA{0xcc, 0x79, 0xa7, 0xff},
		color.RGBA{0xe6, 0x9f, 0x00, 0xff},
		color.RGBA{0x56, 0xb4, 0xe9, 0xff},
	}
)

func implColor(impl string) color.Color {
	if i := slices.Index([]string{result.Stock, "weft-tcp", "weft-rdma"}, impl); i >= 0 {
		return palette[i]
	}
	return palette[len(palette)-1]
}

// sampledOn says that a run's resources are those of one host, where they are.
func sampledOn(r result.Run) string {
	if r.Sampled == "" {
		return ""
	}
	return ", " + r.Sampled + " alone"
}

package report

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"weft/bench/result"
	"weft/bench/sample"
	"weft/bench/summary"
)

// section is figures under a heading.
type section struct {
	Title, Text string
	Figures     []figure
}

func (s *section) add(name, title, note string, p *plot.Plot, err error) error {
	if err == nil {
		s.Figures = append(s.Figures, figure{name, title, note, p})
	}
	return err
}

// publishedSection draws what the study published, and our ratios beside its.
func publishedSection(runs []result.Run) (section, error) {
	s := section{Title: "Published values, and ours", Text: "\"Characterizing Deep Learning over Big Data (DLoBD) Stacks on RDMA-Capable Networks\" (HOTI 2017) compares IPoIB with RDMA on 56 Gb/s InfiniBand, with hundreds of cores; figures are numbered as in it. Ours compare stock Spark " +
		"with weft, on the machine and links named below: only the ratios can stand beside each other, and where no run of ours used RDMA, they compare different things."}
	var ratios, times []bar
	for _, v := range published {
		ratios = append(ratios, bar{label: fmt.Sprintf("published, %s: %s\nRDMA to IPoIB", v.Figure, v.What), parts: []float64{v.Ratio}, colors: []color.Color{grey}})
		if v.IPoIB > 0 {
			times = append(times,
				bar{label: fmt.Sprintf("%s: %s\nIPoIB", v.Figure, v.What), parts: []float64{v.IPoIB}, colors: []color.Color{grey}},
				bar{label: "RDMA", parts: []float64{v.RDMA}, colors: []color.Color{color.Black}})
		}
	}
	for _, r := range result.Ratios(runs, lastEpoch) {
		if r.Pairs > 0 && r.Arm.Model == "vgg" { // as theirs
			ratios = append(ratios, bar{
				label: fmt.Sprintf("ours: %s, %d x %d cores, batch %d\n%s, %s to stock", r.Arm.Model, r.Arm.Executors, r.Arm.Cores, r.Arm.Batch, linkLabel(r.Arm.Link), r.Impl),
				parts: []float64{r.Median}, colors: []color.Color{implColor(r.Impl)}, low: r.Min, high: r.Max,
			})
		}
	}
	p, err := bars("seconds", times, nil)
	if err := s.add("published", "Published times (not measured here)", "Figures 6c and 7b of the study.", p, err); err != nil {
		return s, err
	}
	p, err = bars("times as fast", ratios, nil)
	err = s.add("ratios", "How many times as fast: published, and ours to the end of the last epoch", "Grey: published, RDMA to IPoIB. Ours: VGG, weft to stock Spark on the link named, which is RDMA only where the name of the implementation says so. Whiskers: least and greatest of the repeats.", p, err)
	return s, err
}

// accuracySection is the study's figure 6c for our runs: accuracy over time, and the loss, which says more in short runs.
func accuracySection(gs []group) (section, error) {
	s := section{Title: "As figure 6c: accuracy over time", Text: "Accuracy (Top1) at validations, and loss, over the seconds since the start of the run; a line for each repeat."}
	for i, g := range gs {
		var accuracy, loss []line
		for _, r := range good(g.runs) {
			var as, ls plotter.XYs
			for _, e := range r.Epochs {
				if e.Accuracy != nil {
					as = append(as, plotter.XY{X: e.End, Y: *e.Accuracy})
				}
			}
			for _, x := range r.Iterations {
				ls = append(ls, plotter.XY{X: x.End, Y: x.Loss})
			}
			accuracy, loss = appendLine(accuracy, r, as), appendLine(loss, r, ls)
		}
		if len(accuracy) > 0 {
			p, err := lines("seconds", "accuracy", accuracy)
			if err := s.add(fmt.Sprintf("6c-accuracy-%d", i+1), "Accuracy over time", label(g.key), p, err); err != nil {
				return s, err
			}
		}
		if len(loss) > 0 {
			p, err := lines("seconds", "loss", loss)
			if err := s.add(fmt.Sprintf("6c-loss-%d", i+1), "Loss over time", label(g.key), p, err); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

func appendLine(ls []line, r result.Run, xys plotter.XYs) []line {
	if len(xys) == 0 {
		return ls
	}
	return append(ls, line{name: r.Name(), points: xys, color: implColor(r.Impl)})
}

// epochSection is the study's figures 7a and 7b: it has one for each number of cores, and so has this.
func epochSection(gs []group) (section, error) {
	s := section{Title: "As figures 7a and 7b: accumulated time at the end of each epoch", Text: "One figure for each number of cores; a line for each repeat."}
	for i, g := range gs {
		var epochs []line
		for _, r := range good(g.runs) {
			var xys plotter.XYs
			for _, e := range r.Epochs {
				xys = append(xys, plotter.XY{X: float64(e.N), Y: e.End})
			}
			epochs = appendLine(epochs, r, xys)
		}
		if len(epochs) == 0 {
			continue
		}
		p, err := lines("epoch", "seconds", epochs)
		if err := s.add(fmt.Sprintf("7-epochs-%d", i+1), fmt.Sprintf("Epochs on %d x %d cores", g.key.Executors, g.key.Cores), label(g.key), p, err); err != nil {
			return s, err
		}
	}
	err := scalability(&s, gs)
	return s, err
}

// scalability draws records per second over cores, for what ran with more than one number of them.
func scalability(s *section, gs []group) error {
	var runs []result.Run
	for _, g := range gs {
		runs = append(runs, good(g.runs)...)
	}
	wide := groupBy(runs, func(c result.Config) result.Config {
		c = c.Arm()
		c.Executors, c.Cores, c.Batch, c.Data = 0, 0, 0, ""
		return c
	})
	for i, g := range wide {
		byImpl := map[string]map[float64][]float64{}
		cores := map[float64]bool{}
		for _, r := range g.runs {
			n, seconds := float64(r.Executors*r.Cores), iteration(r)
			if seconds == 0 {
				continue
			}
			if byImpl[r.Name()] == nil {
				byImpl[r.Name()] = map[float64][]float64{}
			}
			byImpl[r.Name()][n] = append(byImpl[r.Name()][n], float64(r.Batch)/seconds)
			cores[n] = true
		}
		if len(cores) < 2 {
			continue
		}
		var ls []line
		for _, impl := range sortedKeys(byImpl) {
			var xys plotter.XYs
			for _, n := range sortedKeys(byImpl[impl]) {
				xys = append(xys, plotter.XY{X: n, Y: summary.Median(byImpl[impl][n])})
			}
			ls = append(ls, line{name: impl, points: xys, color: implColor(impl)})
		}
		p, err := lines("cores", "records per second", ls)
		if err := s.add(fmt.Sprintf("7-scalability-%d", i+1), "Scalability", g.key.Model+", Spark "+g.key.Spark+", "+linkLabel(g.key.Link)+"; medians over the repeats", p, err); err != nil {
			return err
		}
	}
	return nil
}

// resources are the figures of one comparison's use of something.
var resources = []struct {
	file, title, axis string
	name              string  // of samples
	by                float64 // to divide values by
}{
	{"8a-network", "Network", "MB per second, received by all hosts' interfaces", result.NetRecv, 1e6},
	{"8a-rdma", "RDMA ports", "MB per second, received by all ports", result.RDMARecv, 1e6},
	{"8a-rdma-packets", "RDMA ports (soft-RoCE)", "packets per second, received by all ports", result.RDMARecvPackets, 1},
	{"8b-memory", "Host memory", "GB, of all processes on all hosts", result.Memory, 1e9},
	{"8-gpu", "GPU memory", "GB, of all GPUs", result.GPUMemory, 1e9},
	{"8-cpu", "CPU", "busy cores, of all processes on all hosts", result.CPU, 1},
}

// resourceSection is the study's figures 8a and 8b.
func resourceSection(gs []group) (section, error) {
	s := section{Title: "As figures 8a and 8b: network and host memory", Text: fmt.Sprintf("Averages over windows of %d s, drawn in their middle, of the first repeat that did not fail; thin: finer averages. "+
		"Memory shared by a daemon and its executors counts for each of them. The study's own curves were published without numbers.", window)}
	for i, g := range gs {
		for _, what := range resources {
			var ls []line
			for _, r := range first(good(g.runs)) {
				var total []result.Sample // over hosts, and over what they are of
				for _, x := range r.Samples {
					if x.Name == what.name {
						x.Host, x.Of, x.Value = "", "", x.Value/what.by
						total = append(total, x)
					}
				}
				if len(total) == 0 {
					continue
				}
				end := total[len(total)-1].At
				fine := max(1, end/300)
				ls = append(ls, line{points: windows(total, fine, end), color: implColor(r.Impl), thin: true},
					line{name: r.Name() + sampledOn(r), points: windows(total, window, end), color: implColor(r.Impl)})
			}
			if len(ls) == 0 {
				continue
			}
			p, err := lines("seconds", what.axis, ls)
			if err := s.add(fmt.Sprintf("%s-%d", what.file, i+1), what.title, label(g.key), p, err); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

const window = 60 // seconds

// windows averages the samples, each window at its middle; the last ends with the samples.
func windows(samples []result.Sample, seconds, end float64) plotter.XYs {
	var xys plotter.XYs
	for _, w := range sample.Windows(samples, seconds) {
		xys = append(xys, plotter.XY{X: (w.At + min(w.At+seconds, end)) / 2, Y: w.Value})
	}
	return xys
}

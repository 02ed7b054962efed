package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// modelRow is what `weft bench model` computed for one stack on a number of nodes.
type modelRow struct {
	Model             string  `json:"model"`
	Stack             string  `json:"stack"`
	Nodes             int     `json:"nodes"`
	IterationSeconds  float64 `json:"iteration_s"`
	ComputeSeconds    float64 `json:"compute_s"`
	LookUpSeconds     float64 `json:"lookups_s"`
	GetWeightsSeconds float64 `json:"get_weights_s"`
	AggregateSeconds  float64 `json:"aggregate_s"`
	JobSeconds        float64 `json:"jobs_s"`
	EpochSeconds      float64 `json:"epoch_s"`
}

// loadModel reads dir/model.json, where there is one.
func loadModel(dir string) ([]modelRow, error) {
	name := filepath.Join(dir, "model.json")
	b, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var rows []modelRow
	if err := json.Unmarshal(b, &rows); err != nil {
		return nil, fmt.Errorf("%s: %w (remove it, or run `weft bench model` again)", name, err)
	}
	for i, r := range rows {
		if r.Nodes < 1 || r.IterationSeconds <= 0 || r.EpochSeconds <= 0 {
			return nil, fmt.Errorf("%s: row %d (%s, %s, %d nodes) has no nodes or no time", name, i+1, r.Model, r.Stack, r.Nodes)
		}
	}
	return rows, nil
}

// modelSection draws the model's output, dashed, by itself: nothing of it was measured.
func modelSection(rows []modelRow) (section, error) {
	s := section{Title: "Model output: computed, not measured", Text: "What the model of `weft bench model` gives for numbers of nodes that nobody ran here. Both axes are logarithmic."}
	byModel := map[string]map[string][]modelRow{}
	for _, r := range rows {
		if byModel[r.Model] == nil {
			byModel[r.Model] = map[string][]modelRow{}
		}
		byModel[r.Model][r.Stack] = append(byModel[r.Model][r.Stack], r)
	}
	for i, model := range sortedKeys(byModel) {
		for _, what := range []struct {
			file, title string
			of          func(modelRow) float64
		}{
			{"model-iteration", "seconds of an iteration (model)", func(r modelRow) float64 { return r.IterationSeconds }},
			{"model-epoch", "seconds of an epoch (model)", func(r modelRow) float64 { return r.EpochSeconds }},
		} {
			var ls []line
			for j, stack := range sortedKeys(byModel[model]) {
				var xys plotter.XYs
				for _, r := range byModel[model][stack] {
					xys = append(xys, plotter.XY{X: float64(r.Nodes), Y: what.of(r)})
				}
				ls = append(ls, line{name: stack, points: xys, color: palette[j%len(palette)], dashed: true})
			}
			p, err := lines("nodes", what.title, ls)
			if err == nil {
				logarithmic(p, ls)
			}
			if err := s.add(fmt.Sprintf("%s-%d", what.file, i+1), "Model: "+model, "Computed, not measured.", p, err); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

// logarithmic gives both axes a scale that begins and ends with the points.
func logarithmic(p *plot.Plot, ls []line) {
	x0, x1, y0, y1 := plotter.XYRange(ls[0].points)
	for _, l := range ls[1:] {
		a, b, c, d := plotter.XYRange(l.points)
		x0, x1, y0, y1 = min(x0, a), max(x1, b), min(y0, c), max(y1, d)
	}
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = x0/1.2, x1*1.2, y0/1.2, y1*2
}

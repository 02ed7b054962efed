package result

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"

	"weft/bench/summary"
)

// Row is a run in train.json. A figure that was not seen is 0, an accuracy that was not measured null.
type Row struct {
	Model                    string    `json:"model"`
	Data                     string    `json:"data"`
	Spark                    string    `json:"spark"`
	Impl                     string    `json:"impl"`
	Link                     string    `json:"link"`
	Executors                int       `json:"executors"`
	Cores                    int       `json:"cores"` // of each executor
	Batch                    int       `json:"batch"`
	IterationSeconds         float64   `json:"iteration_s"` // this and the next two: Median
	GetWeightsSeconds        float64   `json:"get_weights_s"`
	AggregateGradientSeconds float64   `json:"aggregate_gradient_s"`
	EpochEndSeconds          []float64 `json:"epoch_end_s"`
	Accuracy                 *float64  `json:"accuracy"` // of the last validation
	BytesWeft                int64     `json:"bytes_weft"`
	BytesNetty               int64     `json:"bytes_netty"`
	DriverLookups            int64     `json:"driver_lookups"`
	ParameterFetchSeconds    float64   `json:"parameter_fetch_s"` // of an iteration, for each executor: what its fetches of parameter blocks took, one after the other
	Repeat                   int       `json:"repeat"`
	Device                   string    `json:"rdma_device,omitempty"` // these two as Run's
	Missing                  string    `json:"missing,omitempty"`
	Failure                  string    `json:"failure,omitempty"`
}

// Row reduces the run.
func (r Run) Row() Row {
	row := Row{
		Model: r.Model, Data: r.Data, Spark: r.Spark, Impl: r.Impl, Link: r.Link, Executors: r.Executors, Cores: r.Cores, Batch: r.Batch,
		IterationSeconds:         r.Median(func(i Iteration) float64 { return i.Seconds }),
		GetWeightsSeconds:        r.Median(func(i Iteration) float64 { return i.GetWeightsSeconds }),
		AggregateGradientSeconds: r.Median(func(i Iteration) float64 { return i.AggregateSeconds }),
		EpochEndSeconds:          []float64{}, Accuracy: r.Accuracy(),
		ParameterFetchSeconds: r.ParameterFetchSeconds / float64(max(r.Executors, 1)) / float64(max(len(r.Iterations), 1)),
		BytesWeft:             r.BytesWeft, BytesNetty: r.BytesNetty, DriverLookups: r.DriverLookups, Repeat: r.Repeat, Device: r.Device, Missing: r.Missing, Failure: r.Failure,
	}
	for _, e := range r.Epochs {
		row.EpochEndSeconds = append(row.EpochEndSeconds, e.End)
	}
	return row
}

// Accuracy is that of the last validation, or nil.
func (r Run) Accuracy() *float64 {
	for _, e := range slices.Backward(r.Epochs) {
		if e.Accuracy != nil {
			return e.Accuracy
		}
	}
	return nil
}

// Median is that of a figure over the iterations but the first, in which executors load classes and fetch the model; 0 when there are no others.
func (r Run) Median(figure func(Iteration) float64) float64 {
	if len(r.Iterations) < 2 {
		return 0
	}
	var vs []float64
	for _, i := range r.Iterations[1:] {
		vs = append(vs, figure(i))
	}
	return summary.Median(vs)
}

// WriteRows writes train.json to dir.
func WriteRows(dir string, runs []Run) error {
	rows := []Row{}
	for _, r := range runs {
		rows = append(rows, r.Row())
	}
	b, err := json.MarshalIndent(rows, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "train.json"), append(b, '\n'), 0o644)
}

package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"

	"weft/bench/result"
)

// addEvents adds what Spark's event log tells.
func addEvents(r *result.Run, log []byte) error {
	in := bufio.NewScanner(bytes.NewReader(log))
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		var e struct {
			Event   string
			Version string            `json:"Spark Version"`
			JVM     map[string]string `json:"JVM Information"`
			Metrics struct {
				Read struct {
					FetchWaitMillis float64 `json:"Fetch Wait Time"`
				} `json:"Shuffle Read Metrics"`
			} `json:"Task Metrics"`
		}
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			return fmt.Errorf("event log: %w", err)
		}
		switch e.Event {
		case "SparkListenerLogStart":
			r.Versions["spark"] = e.Version
		case "SparkListenerEnvironmentUpdate":
			r.Versions["java"] = e.JVM["Java Version"]
		case "SparkListenerTaskEnd":
			r.FetchWaitSeconds += e.Metrics.Read.FetchWaitMillis / 1000
		}
	}
	return in.Err()
}

// received are the bytes that interfaces received while they were sampled. Nothing counts the blocks of stock Spark: its parameters are in no metric.
func received(samples []result.Sample) int64 {
	type key struct{ host, of string }
	last := map[key]float64{}
	var sum float64
	for _, s := range samples {
		if s.Name == result.NetRecv {
			sum += s.Value * (s.At - last[key{s.Host, s.Of}])
			last[key{s.Host, s.Of}] = s.At
		}
	}
	return int64(sum)
}

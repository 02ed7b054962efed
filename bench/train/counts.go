package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"weft/bench/result"
)

// summary is the line that the shim logs when its JVM ends.
var summary = regexp.MustCompile(`weft: summary executor=\S+ (.*)`)

// addSummaries adds what the JVMs' logs tell of the blocks to the run, and returns how many JVMs told.
func addSummaries(r *result.Run, logs [][]byte) (jvms int, err error) {
	for _, log := range logs {
		for _, m := range summary.FindAllSubmatch(log, -1) {
			jvms++
			for _, field := range strings.Fields(string(m[1])) {
				if err := addField(r, field); err != nil {
					return jvms, fmt.Errorf("line %q: %w", m[0], err)
				}
			}
		}
	}
	return jvms, nil
}

func addField(r *result.Run, field string) error {
	key, value, _ := strings.Cut(field, "=")
	if key == "fallbacks" {
		for _, pair := range strings.FieldsFunc(value, func(c rune) bool { return strings.ContainsRune("{},", c) }) {
			_, n, _ := strings.Cut(pair, "=")
			blocks, err := strconv.ParseInt(n, 10, 64)
			if err != nil {
				return err
			}
			r.Fallbacks += blocks
		}
		return nil
	}
	sum := map[string]*int64{
		"weft_bytes": &r.BytesWeft, "netty_bytes": &r.BytesNetty,
		"parameter_lookups_driver": &r.DriverLookups, "parameter_lookups_cached": &r.CachedLookups,
	}[key]
	if sum == nil {
		return nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	*sum += n
	return err
}

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

package rdma

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// mebi is what perftest calls MB.
const mebi = 1 << 20

// table finds the row of figures below the heading of perftest's output, for the block.
func table(out []byte, block int) ([]float64, error) {
	heading := false
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) > 0 && fields[0] == "#bytes" {
			heading = true
			continue
		}
		if !heading || len(fields) == 0 || fields[0] != strconv.Itoa(block) {
			continue
		}
		var row []float64
		for _, f := range fields {
			v, err := strconv.ParseFloat(f, 64)
			if err != nil {
				return nil, fmt.Errorf("perftest printed %q: %w", s.Text(), err)
			}
			row = append(row, v)
		}
		return row, nil
	}
	return nil, errors.New("perftest printed no row of figures")
}

// parseBandwidth is the average that ib_read_bw printed, in GB/s.
func parseBandwidth(out []byte, block int) (float64, error) {
	row, err := table(out, block) // bytes, iterations, peak, average, messages
	if err != nil {
		return 0, err
	}
	if len(row) < 4 || !(row[3] > 0 && row[3] < 1e9) {
		return 0, fmt.Errorf("perftest measured nothing: %v (it needs the processor's frequency from /proc/cpuinfo, which User-Mode Linux has not)", row)
	}
	return row[3] * mebi / 1e9, nil
}

// parseLatency is the median and the 99th percentile that ib_read_lat printed, in microseconds.
func parseLatency(out []byte, block int) (p50, p99 float64, err error) {
	row, err := table(out, block) // bytes, iterations, min, max, typical, average, deviation, 99 %, 99.9 %
	if err != nil {
		return 0, 0, err
	}
	if len(row) < 8 || !(row[4] > 0 && row[4] < 1e9) {
		return 0, 0, fmt.Errorf("perftest measured nothing: %v", row)
	}
	return row[4], row[7], nil
}

// parseCLoop reads the loop's line, which is in the Go benchmark format; reads is how many there were.
func parseCLoop(out []byte) (r Record, reads float64, err error) {
	fields := strings.Fields(string(out))
	if len(fields) < 2 || !strings.HasPrefix(fields[0], "BenchmarkRead/") {
		return r, 0, fmt.Errorf("the C loop printed %q", out)
	}
	if reads, err = strconv.ParseFloat(fields[1], 64); err != nil {
		return r, 0, fmt.Errorf("the C loop printed %q: %w", out, err)
	}
	r.Impl = CLoop
	for i := 2; i+1 < len(fields); i += 2 {
		v, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return r, 0, fmt.Errorf("the C loop printed %q: %w", out, err)
		}
		switch fields[i+1] {
		case "MB/s":
			r.GBPerS = v / 1e3
		case "p50-us":
			r.P50us = v
		case "p99-us":
			r.P99us = v
		}
	}
	if r.GBPerS <= 0 {
		return r, 0, fmt.Errorf("the C loop printed no rate: %q", out)
	}
	return r, reads, nil
}

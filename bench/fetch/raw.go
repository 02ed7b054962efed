package fetch

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"weft/bench/cluster"
)

// RawServed is what `weft bench raw serve` prints when its input ends.
type RawServed struct {
	CPUSeconds float64 `json:"cpu_s"`
}

// RawRead is what `weft bench raw read` prints.
type RawRead struct {
	Blocks     int64   `json:"blocks"`
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_s"`
}

// raw measures the sendfile-to-shared-memory loop from host h1 to host h2, and what it takes with a checksum of what arrives.
func (c Config) raw(ctx context.Context, cl cluster.Cluster, control string, block int) (Record, error) {
	r, err := c.rawLoop(ctx, cl, control, block)
	if err != nil {
		return r, err
	}
	checked, err := c.rawLoop(ctx, cl, control, block, "--checksum")
	r.CheckedCPU = checked.CPUSecPerGB
	return r, err
}

func (c Config) rawLoop(ctx context.Context, cl cluster.Cluster, control string, block int, flags ...string) (Record, error) {
	weft := filepath.Join(c.Root, "build/weft")
	file := filepath.Join(control, "raw-block")
	if err := os.WriteFile(file, make([]byte, block), 0o644); err != nil {
		return Record{}, err
	}
	serve := cl.Command(ctx, "exec", "h1", weft, "bench", "raw", "serve", "--file", file)
	stdin, err := serve.StdinPipe()
	if err != nil {
		return Record{}, err
	}
	stdout, err := serve.StdoutPipe()
	if err != nil {
		return Record{}, err
	}
	if err := serve.Start(); err != nil {
		return Record{}, err
	}
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() { // the first line is the port
		return Record{}, fmt.Errorf("raw serve did not start: %w", serve.Wait())
	}
	addr, err := hostAddr(ctx, cl, "h1")
	if err != nil {
		return Record{}, err
	}
	read := cl.Command(ctx, "exec", append([]string{
		"h2", weft, "bench", "raw", "read", "--addr", addr + ":" + lines.Text(), "--block", strconv.Itoa(block), "--for", c.Row.String(),
	}, flags...)...)
	out, err := read.Output()
	if err != nil {
		return Record{}, fmt.Errorf("raw read: %w", err)
	}
	_ = stdin.Close()
	var served RawServed
	var got RawRead
	if !lines.Scan() {
		return Record{}, fmt.Errorf("raw serve gave no result: %w", serve.Wait())
	}
	if err := json.Unmarshal(lines.Bytes(), &served); err != nil {
		return Record{}, err
	}
	if err := json.Unmarshal(out, &got); err != nil {
		return Record{}, err
	}
	gb := float64(got.Blocks) * float64(block) / 1e9
	return Record{ // a stream has no requests, so no percentiles
		Impl: "raw", Transport: "tcp", From: "map output", BlockBytes: block, RequestBlocks: 100, GBPerS: gb / got.Seconds, BlocksPerS: float64(got.Blocks) / got.Seconds,
		CPUSecPerGB: (got.CPUSeconds + served.CPUSeconds) / gb,
	}, serve.Wait()
}

// hostAddr is the address of the host's link to the others.
func hostAddr(ctx context.Context, cl cluster.Cluster, host string) (string, error) {
	out, err := cl.Command(ctx, "exec", host, "hostname", "-I").Output()
	if err != nil || len(strings.Fields(string(out))) == 0 {
		return "", fmt.Errorf("address of %s: %q, %w", host, out, err)
	}
	return strings.Fields(string(out))[0], nil
}

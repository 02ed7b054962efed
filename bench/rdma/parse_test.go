package rdma

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What perftest 4.5 printed in a guest of scripts/rig-tcg.
func output(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseBandwidth(t *testing.T) {
	got, err := parseBandwidth(output(t, "ib_read_bw.txt"), 1<<20)
	if want := 11.69 * 1048576 / 1e9; err != nil || math.Abs(got-want) > 1e-12 {
		t.Errorf("%v, %v: want %v", got, err, want)
	}
}

func TestParseLatency(t *testing.T) {
	p50, p99, err := parseLatency(output(t, "ib_read_lat.txt"), 4096)
	if err != nil || p50 != 283.32 || p99 != 11732.12 {
		t.Errorf("%v, %v, %v", p50, p99, err)
	}
}

func TestParseRefuses(t *testing.T) {
	bw := string(output(t, "ib_read_bw.txt"))
	for name, out := range map[string]string{
		"no peer":       string(output(t, "nobody.txt")),
		"nothing":       "",
		"another block": strings.ReplaceAll(bw, "1048576", "1048577"),
		"infinite":      strings.ReplaceAll(bw, "11.69", "inf"),
		"not a number":  strings.ReplaceAll(bw, "11.69", "-nan"),
		"no figure":     strings.ReplaceAll(bw, "11.69", "much"),
		"cut off":       bw[:strings.Index(bw, "17.53")],
	} {
		if got, err := parseBandwidth([]byte(out), 1<<20); err == nil {
			t.Errorf("%s: %v and no error", name, got)
		}
		if _, _, err := parseLatency([]byte(out), 1<<20); err == nil {
			t.Errorf("%s: a latency and no error", name)
		}
	}
}

func TestParseCLoop(t *testing.T) {
	r, reads, err := parseCLoop([]byte("BenchmarkRead/impl=cloop/block=4096/depth=1 100 50000.0 ns/op 81.92 MB/s 45.5 p50-us 120.0 p99-us\n"))
	if err != nil || r.Impl != CLoop || r.GBPerS != 0.08192 || r.P50us != 45.5 || r.P99us != 120 || reads != 100 {
		t.Errorf("%+v, %v, %v", r, reads, err)
	}
	for _, out := range []string{"", "cloop: no device\n", "BenchmarkRead/x 1 y ns/op\n", "BenchmarkRead/x 1 5 ns/op\n"} {
		if r, _, err := parseCLoop([]byte(out)); err == nil {
			t.Errorf("%q: %+v and no error", out, r)
		}
	}
}

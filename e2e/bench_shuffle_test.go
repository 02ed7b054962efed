//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBenchShuffle runs one tiny job of `weft bench shuffle`, stock, with weft, and on one host: results are equal, and the figures can be right.
func TestBenchShuffle(t *testing.T) {
	out := filepath.Join(root, "build/e2e/bench-shuffle")
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "build/weft"), "bench", "shuffle", "--root", root, "--out", out, "--job", "terasort",
		"--maps", "4", "--reduces", "4", "--records", "2000", "--rounds", "1", "--executor-memory", "1g",
		"--impl", "stock,weft-tcp,local")
	if table, err := cmd.Output(); err != nil || !strings.Contains(string(table), "terasort") {
		t.Fatalf("%v (log: %s/shuffle.log)\n%s", err, out, table)
	}
	b, err := os.ReadFile(filepath.Join(out, "shuffle.json"))
	if err != nil {
		t.Fatal(err)
	}
	var runs []struct {
		Impl, Checksum, Failure string
		Write                   float64 `json:"write_s"`
		Read                    float64 `json:"read_s"`
		Total                   float64 `json:"total_s"`
		CPU                     float64 `json:"cpu_s"`
		RemoteBytes             int64   `json:"remote_bytes"`
		RemoteBlocks            int64   `json:"remote_blocks"`
		BytesWeft               int64   `json:"bytes_weft"`
		BytesNetty              int64   `json:"bytes_netty"`
	}
	if err := json.Unmarshal(b, &runs); err != nil || len(runs) != 3 {
		t.Fatalf("%d runs, %v:\n%s", len(runs), err, b)
	}
	for _, r := range runs {
		if r.Failure != "" || r.Write <= 0 || r.Read <= 0 || r.Total < r.Read || r.CPU <= 0 {
			t.Errorf("%+v", r)
		}
		if (r.RemoteBlocks == 0) != (r.Impl == "local") || (r.RemoteBytes == 0) != (r.Impl == "local") || !strings.HasSuffix(r.Checksum, " 8000") {
			t.Errorf("%s: %d remote blocks, %d bytes, result %s", r.Impl, r.RemoteBlocks, r.RemoteBytes, r.Checksum)
		}
	}
	stock, weft := runs[0], runs[1]
	if stock.Impl != "stock" || stock.BytesWeft != 0 || stock.BytesNetty != stock.RemoteBytes || stock.Checksum != weft.Checksum {
		t.Errorf("stock: %+v", stock)
	}
	if weft.BytesWeft < weft.RemoteBytes || weft.BytesNetty > weft.RemoteBytes/100 {
		t.Errorf("weft: %+v", weft)
	}
}

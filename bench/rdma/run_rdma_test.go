//go:build rdma

package rdma

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weft/verbs/verbstest"
)

// owner serves for the time of the test.
func owner(t *testing.T, device string) (addr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	served, ready := make(chan error, 1), make(chan string, 1)
	go func() { served <- Serve(ctx, ":0", device, func(a net.Addr) { ready <- a.String() }) }()
	t.Cleanup(func() {
		cancel()
		if err := verbstest.Await(t, served, "the owner's end"); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return verbstest.Await(t, ready, "the owner")
}

// testDevice is the name of the device under test.
func testDevice() string {
	if name := os.Getenv(verbstest.DeviceVariable); name != "" {
		return name
	}
	return "auto"
}

func TestRun(t *testing.T) {
	var progress strings.Builder
	c := Config{
		Device: testDevice(), Peer: owner(t, testDevice()), Perftest: true, CLoop: "/nowhere/cloop", Out: t.TempDir(), Rounds: 2, Row: 50 * time.Millisecond,
		BlockBytes: []int{4096, 1 << 20}, Depths: []int{1, 16}, Progress: &progress,
	}
	rounds, err := Run(context.Background(), c)
	t.Log(progress.String())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(progress.String(), "going on without cloop") {
		t.Error("nothing says that there is no C loop")
	}
	b, err := os.ReadFile(filepath.Join(c.Out, "rdma.json"))
	var rs []Record
	if err != nil || json.Unmarshal(b, &rs) != nil || len(rs) != len(Medians(rounds)) {
		t.Fatalf("%s, %v", b, err)
	}
	weft := 0
	for _, r := range rs {
		if r.GBPerS <= 0 || r.GBPerS > 1000 {
			t.Errorf("%+v: no such rate", r)
		}
		if r.Impl != Weft {
			continue
		}
		weft++
		if r.P50us <= 0 || r.P99us < r.P50us || r.CPUSecPerGB <= 0 {
			t.Errorf("%+v", r)
		}
	}
	if weft != 4 {
		t.Errorf("%d rows of weft, want 4: %s", weft, b)
	}
	littlesLaw(t, rounds)
}

// What is in flight for its latency is what moves: as many bytes a second as depth READs in their mean latency, which is at least half of the median. It is
// much more where one of them waited long, as a busy machine may have it, but not in all rows.
func littlesLaw(t *testing.T, rounds [][]Record) {
	fits := 0
	for _, r := range slices.Concat(rounds...) {
		ratio := r.GBPerS * 1e3 * r.P50us / float64(r.BlockBytes*r.Depth)
		if ratio > 3 {
			t.Errorf("%+v: rate and latency do not fit, %.2f", r, ratio)
		}
		if ratio > 0.1 {
			fits++
		}
	}
	if fits == 0 {
		t.Errorf("in no row rate and latency fit: %+v", rounds)
	}
}

// The owner's refusals come as they are.
func TestRefusals(t *testing.T) {
	p := peer{owner(t, testDevice())}
	for _, c := range []struct {
		ask  ask
		want string
	}{
		{ask{Program: "rm", Block: 4096, Depth: 1}, "unknown program"},
		{ask{Program: Weft, Block: 1 << 40, Depth: 1}, "want a multiple"},
		{ask{Program: Weft, Block: 4096, Depth: 1000}, "want a multiple"},
	} {
		_, err := p.row(context.Background(), c.ask, func(answer) error { return nil })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.ask, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	c := Config{Device: testDevice(), Peer: owner(t, testDevice()), Out: t.TempDir(), Rounds: 1, Row: time.Hour, BlockBytes: []int{4096}, Depths: []int{4}, Progress: os.Stderr}
	time.AfterFunc(200*time.Millisecond, cancel)
	if _, err := Run(ctx, c); ctx.Err() == nil || err == nil {
		t.Errorf("%v", err)
	}
}

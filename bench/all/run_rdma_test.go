//go:build rdma

package all

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weft/bench/rdma"
)

// A shell in ssh's place: both hosts are this one. The program is the built one, as it is for users.
func TestRun(t *testing.T) {
	weft, err := filepath.Abs("../../build/weft")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(weft); err != nil {
		t.Fatalf("%v: run 'make build'", err)
	}
	shell := filepath.Join(t.TempDir(), "shell")
	if err := os.WriteFile(shell, []byte("#!/bin/sh\nshift\nexec sh -c \"$*\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var progress strings.Builder
	c := Config{
		Hosts: []string{"a", "b"}, Shell: shell, Weft: weft, Out: t.TempDir(), Rounds: 2, Row: 100 * time.Millisecond, BlockBytes: []int{1 << 20},
		Depths: []int{1, 4}, Progress: &progress,
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	_, err = Run(ctx, c)
	t.Log(progress.String())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(c.Out, "all.txt"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", text)
	for _, want := range []string{"a, weft ", "b, weft ", "RDMA MTU", "READs by a from b", "READ to TCP", "PFC"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q", want)
		}
	}
	var r Report
	b, err := os.ReadFile(filepath.Join(c.Out, "all.json"))
	if err != nil || json.Unmarshal(b, &r) != nil {
		t.Fatalf("%s, %v", b, err)
	}
	if len(r.TCP) != len(streams) || len(r.Hosts) != 2 || len(r.Hosts[1].Doctor) < 10 {
		t.Errorf("%s", b)
	}
	for _, row := range r.TCP {
		if row.GBPerS <= 0 || row.CPUSecPerGB <= 0 {
			t.Errorf("%+v", row)
		}
	}
	weftRows := 0
	for _, row := range r.RDMA {
		if row.Impl == rdma.Weft && row.GBPerS > 0 {
			weftRows++
		}
	}
	if weftRows != 2 {
		t.Errorf("%d rows of weft, want 2", weftRows)
	}
}

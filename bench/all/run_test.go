package all

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weft/bench/rdma"
)

// What cannot work is said at once, and what the host said of it is shown.
func TestRunRefuses(t *testing.T) {
	shell := filepath.Join(t.TempDir(), "shell")
	if err := os.WriteFile(shell, []byte("#!/bin/sh\nshift\nexec sh -c \"$*\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		config    Config
		err, said string
	}{
		{"one host", Config{Hosts: []string{"a"}, Shell: shell}, "--hosts A,B", ""},
		{"no shell", Config{Hosts: []string{"a", "b"}}, "--hosts A,B", ""},
		{"shell not there", Config{Hosts: []string{"a", "b"}, Shell: "/no/ssh", Rounds: 1, BlockBytes: []int{8}}, "/no/ssh", ""},
		{"weft not there", Config{Hosts: []string{"a", "b"}, Shell: shell, Weft: "/no/weft", Rounds: 1, BlockBytes: []int{8}}, "named by --weft", "a: sh: 1: /no/weft"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var progress strings.Builder
			c.config.Progress = &progress
			_, err := Run(context.Background(), c.config)
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(progress.String(), c.said) {
				t.Errorf("%v\n%s", err, progress.String())
			}
		})
	}
}

func TestReport(t *testing.T) {
	r := &Report{Hosts: []Host{{Name: "a", Doctor: []Check{{"RDMA MTU", "ok", "4096", ""}, {"Java", "ok", "17", ""}, {"nofile", "warn", "1024", ""}}, Links: "PFC: on"}, {Name: "b"}}}
	for _, rate := range []float64{1, 5, 2} {
		r.add(TCP{BlockBytes: 4096, Streams: 1, GBPerS: rate, CPUSecPerGB: 10 * rate})
	}
	r.rounds = [][]rdma.Record{{{Impl: rdma.Weft, BlockBytes: 4096, Depth: 1, GBPerS: 3}, {Impl: rdma.Weft, BlockBytes: 4096, Depth: 16, GBPerS: 6}}}
	r.RDMA = rdma.Medians(r.rounds)
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ok    RDMA MTU: 4096", "warn  nofile: 1024", "PFC: on", "2.000      6.000         3.00        20.000"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "Java") {
		t.Error("what is as it should be and not of RDMA is there, too")
	}
}

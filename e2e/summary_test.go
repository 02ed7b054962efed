//go:build e2e || rdma

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Summary is the line that the shim logs when its JVM ends: what went by which path, and what it leaked.
type Summary struct {
	Executor                string
	WeftBlocks, WeftBytes   int64
	NettyBlocks, NettyBytes int64
	Fallbacks               map[string]int64 // blocks by reason
	Leases, Leaks           int64
	LookupsDriver           int64 // for parameter blocks of BigDL's
	LookupsCached           int64
	TLSBlocks, TLSBytes     int64 // of weft's, what was encrypted between two daemons
}

var summaryLine = regexp.MustCompile(`weft: summary executor=(\S+) weft_blocks=(\d+) weft_bytes=(\d+) netty_blocks=(\d+) netty_bytes=(\d+)` +
	` fallbacks=\{(.*)\} leases=(\d+) leaks=(\d+) parameter_lookups_driver=(\d+) parameter_lookups_cached=(\d+) parameter_fetch_us=(?:\d+)` +
	` rdma_\S+ rdma_\S+ rdma_\S+ rdma_\S+ tls_blocks=(\d+) tls_bytes=(\d+)`)

// Summaries returns those of the driver and of every executor that ended in peace.
func (r *Run) Summaries(t testing.TB) (all []Summary) {
	t.Helper()
	r.awaitExecutors(t, 30*time.Second)
	return r.summaries(t)
}

// summaries are those that were logged so far.
func (r *Run) summaries(t testing.TB) (all []Summary) {
	t.Helper()
	logs := r.ExecutorLogs(t)
	logs["driver"] = r.Driver
	for _, log := range logs {
		for _, m := range summaryLine.FindAllStringSubmatch(log, -1) {
			s := Summary{Executor: m[1], Fallbacks: map[string]int64{}}
			for i, field := range []*int64{&s.WeftBlocks, &s.WeftBytes, &s.NettyBlocks, &s.NettyBytes} {
				*field = number(t, m[i+2])
			}
			for _, pair := range strings.Split(m[6], ",") {
				if reason, n, ok := strings.Cut(pair, "="); ok {
					s.Fallbacks[reason] = number(t, n)
				}
			}
			s.Leases, s.Leaks = number(t, m[7]), number(t, m[8])
			s.LookupsDriver, s.LookupsCached = number(t, m[9]), number(t, m[10])
			s.TLSBlocks, s.TLSBytes = number(t, m[11]), number(t, m[12])
			all = append(all, s)
		}
	}
	return all
}

// awaitExecutors waits until the application's executors have ended, which may be after its driver.
func (r *Run) awaitExecutors(t testing.TB, limit time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		left := 0
		for _, host := range r.cluster.Hosts {
			for _, pid := range r.cluster.Pids(t, host, "executor") {
				line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // an error: it has just ended
				if err == nil && bytes.Contains(line, []byte(r.App)) {
					left++
				}
			}
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d executors of %s live on", left, r.App)
		}
	}
}

// Total adds up summaries.
func Total(all []Summary) Summary {
	sum := Summary{Executor: "all", Fallbacks: map[string]int64{}}
	for _, s := range all {
		sum.WeftBlocks += s.WeftBlocks
		sum.WeftBytes += s.WeftBytes
		sum.NettyBlocks += s.NettyBlocks
		sum.NettyBytes += s.NettyBytes
		sum.Leases += s.Leases
		sum.Leaks += s.Leaks
		sum.TLSBlocks += s.TLSBlocks
		sum.TLSBytes += s.TLSBytes
		for reason, n := range s.Fallbacks {
			sum.Fallbacks[reason] += n
		}
	}
	return sum
}

func number(t testing.TB, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// checkAllByWeft checks that nothing remote went by Netty, no lease leaked, and weft moved at least what Spark counts as remote.
func (r *Run) checkAllByWeft(t testing.TB) {
	t.Helper()
	r.awaitExecutors(t, 30*time.Second)
	r.checkEndedByWeft(t)
}

// checkEndedByWeft is checkAllByWeft where the executors have ended.
func (r *Run) checkEndedByWeft(t testing.TB) {
	t.Helper()
	sum := r.checkNothingByNetty(t)
	var remote int64
	for _, job := range r.Shuffled(t) {
		remote += job.RemoteBlocks
	}
	if sum.WeftBlocks < remote {
		t.Errorf("Spark counts %d remote shuffle blocks, weft %d", remote, sum.WeftBlocks)
	}
}

// checkNothingByNetty checks what the driver and two executors, which have ended, log last: nothing went by Netty, and no lease leaked.
func (r *Run) checkNothingByNetty(t testing.TB) Summary {
	t.Helper()
	all := r.summaries(t)
	if len(all) != 3 {
		t.Fatalf("%d summaries instead of those of the driver and two executors: %+v", len(all), all)
	}
	sum := Total(all)
	t.Logf("%d blocks and %d bytes by weft", sum.WeftBlocks, sum.WeftBytes)
	if sum.NettyBlocks != 0 || sum.NettyBytes != 0 || len(sum.Fallbacks) != 0 {
		t.Errorf("some blocks went by Netty: %+v", all)
	}
	if sum.Leases != 0 || sum.Leaks != 0 {
		t.Errorf("leases were not given back: %+v", all)
	}
	return sum
}

//go:build e2e

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
}

var summaryLine = regexp.MustCompile(`weft: summary executor=(\S+) weft_blocks=(\d+) weft_bytes=(\d+) netty_blocks=(\d+) netty_bytes=(\d+)` +
	` fallbacks=\{(.*)\} leases=(\d+) leaks=(\d+)`)

// Summaries returns those of the driver and of every executor that ended in peace.
func (r *Run) Summaries(t testing.TB) (all []Summary) {
	t.Helper()
	r.awaitExecutors(t, 30*time.Second)
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

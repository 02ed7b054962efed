//go:build e2e || rdma

package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var warningLine = regexp.MustCompile(`(?m)^\S+ \S+ (?:WARN|ERROR) \S+ (weft: .*)$`)

// checkWarnings checks that weft's warnings are of these causes, each known by a word of its line: that no JVM warned of one twice or of
// anything else, and that each cause was warned of.
func (r *Run) checkWarnings(t testing.TB, causes ...string) {
	t.Helper()
	logs := r.ExecutorLogs(t)
	logs["driver"] = r.Driver
	seen := map[string]bool{}
	for jvm, log := range logs {
		times := map[string]int{}
		for _, m := range warningLine.FindAllStringSubmatch(log, -1) {
			cause := slices.IndexFunc(causes, func(cause string) bool { return strings.Contains(m[1], cause) })
			if cause < 0 {
				t.Errorf("%s warns: %s", jvm, m[1])
				continue
			}
			seen[causes[cause]] = true
			times[causes[cause]]++
		}
		for cause, n := range times {
			if n > 1 {
				t.Errorf("%s warns %d times of %q", jvm, n, cause)
			}
		}
	}
	for _, cause := range causes {
		if !seen[cause] {
			t.Errorf("nobody warns of %q", cause)
		}
	}
}

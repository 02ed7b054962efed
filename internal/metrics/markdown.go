package metrics

import (
	"fmt"
	"strings"
)

// Markdown is docs/metrics.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Metrics of the daemon\n\n")
	b.WriteString("Written by `make generate` from internal/metrics; a test fails when the two differ.\n\n")
	b.WriteString("The daemon answers `GET /metrics` on its admin socket, and on `weft.metrics.address` where that is set:\n\n")
	b.WriteString("    curl --unix-socket /tmp/weft-$(id -u)/admin.sock http://weft/metrics   # or $XDG_RUNTIME_DIR/weft/admin.sock, where that is set\n\n")
	b.WriteString("| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, m := range NewSet().Metrics {
		labels := ""
		if len(m.Labels) > 0 {
			labels = "`" + strings.Join(m.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name, m.Kind, labels, m.Help)
	}
	b.WriteString("\nBeside these come the Go runtime's `go_*` and the process's `process_*` (CPU seconds, resident memory, open descriptors).\n\n" +
		"## Labels\n\n" +
		"- `transport`: `tcp`, `tcp+tls` where Spark encrypts what goes between executors, `rdma`, or `mem` for a peer that is this daemon itself.\n" +
		"- `direction`: `received` for blocks that this daemon asked for, `served` for those that a peer asked of it. Every block that moves " +
		"is counted\n  once at each end; what is read by RDMA at the reader's alone.\n" +
		"- `reason`: the words of `Reason` in proto/block.proto, where each is explained, in lower case.\n" +
		"- `purpose`: `receive` for blocks fetched for an executor, `upcall` for blocks that an executor has in memory and lends to peers.\n" +
		"- `state`: `allocated` is what the arenas hold, `leased` the part of it in use.\n" +
		"- `result`: `ok` or `failed`.\n")
	return b.String()
}

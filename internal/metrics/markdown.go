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
		"- `result`: `ok` or `failed`.\n" +
		"- `resource`: what is divided among applications; docs/security.md lists them.\n\n" +
		"## In Spark's own metrics system\n\n" +
		"Each driver and executor shows what its remote blocks came by, in gauges that Spark's sinks call `plugin.org.apache.spark.shuffle.weft.WeftPlugin.<figure>`:\n" +
		"`weft_blocks`, `weft_bytes`, `rdma_blocks`, `rdma_bytes`, `tls_blocks` and `tls_bytes` (these four are also among weft's), `netty_blocks`, `netty_bytes`, `fallback_blocks.<reason>`, `leases` (not\n" +
		"given back yet) and `leaks` (dropped without a release). Up to Spark 3.5 they are there by themselves; from 4.0 on set\n" +
		"`spark.plugins=org.apache.spark.shuffle.weft.WeftPlugin` for them, beside the manager, with the jar on the class path.\n")
	return b.String()
}

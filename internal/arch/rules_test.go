package arch

// allowed lists for every package of this module which others of the module it may import, and why where that is not plain. A new package
// must be added; an entry ending in /... stands for all packages below.
var allowed = map[string][]string{
	"weft/cmd/weft": {"weft/daemon", "weft/bench/...", "weft/bigdl/...", "weft/internal/..."}, // names of commands and flags only
	"weft/daemon": {
		"weft/jvmbridge", "weft/jvmbridge/...", "weft/shuffle", "weft/shuffle/...",
		"weft/internal/options", "weft/internal/metrics", "weft/internal/status", "weft/internal/version",
	},
	"weft/bench/...":      {"weft/bench/..."},                          // it measures the built program from outside
	"weft/bench/model":    {"weft/bench/result", "weft/bench/summary"}, // arithmetic on costs and results: it starts and measures nothing
	"weft/bench/raw":      {"weft/shuffle/crc32c"},                     // what blocks are checked by
	"weft/bench/train":    {"weft/bench/...", "weft/bigdl", "weft/bigdl/data", "weft/bigdl/data/seqfile", "weft/bigdl/data/store"},
	"weft/bench/soak":     {"weft/bench/report", "weft/bench/summary", "weft/internal/status"},                                                             // the client of the admin socket
	"weft/bench/rdma":     {"weft/bench/raw", "weft/bench/summary", "weft/shuffle/rdma", "weft/verbs"},                                                     // and here the transport's connections by themselves
	"weft/bench/registry": {"weft/bench/summary", "weft/shuffle", "weft/internal/metrics"},                                                                 // the registry in its own process
	"weft/bench/summary":  {},                                                                                                                              // arithmetic and files
	"weft/bench/golden":   {},                                                                                                                              // for tests
	"weft/bench/targets":  {"weft/bench/fetch", "weft/bench/rdma", "weft/bench/registry", "weft/bench/result", "weft/bench/summary", "weft/bench/shuffle"}, // arithmetic on their results: it starts and measures nothing

	"weft/bigdl":          {"weft/bigdl/data"},
	"weft/bigdl/data":     {"weft/bigdl/data/..."}, // files: nothing of blocks or Spark
	"weft/bigdl/data/...": {},                      // each knows one format, or none

	"weft/jvmbridge":            {"weft/shuffle/quota", "weft/jvmbridge/shm", "weft/shuffle", "weft/shuffle/mempool", "weft/internal/metrics", "weft/internal/pb/...", "weft/internal/invariants", "weft/internal/sockio", "weft/internal/version"},
	"weft/jvmbridge/bridgetest": {"weft/jvmbridge/shm", "weft/internal/pb/..."}, // for tests: not the server, so that each checks the other
	"weft/jvmbridge/shm":        {"weft/shuffle/mempool", "weft/internal/invariants"},

	"weft/shuffle/auth":          {}, // arithmetic on what it is given
	"weft/shuffle/tcp":           {"weft/shuffle/quota", "weft/shuffle", "weft/shuffle/auth", "weft/shuffle/serve", "weft/internal/metrics", "weft/internal/pb/...", "weft/internal/invariants", "weft/internal/sockio", "weft/internal/version"},
	"weft/shuffle/rdma":          {"weft/shuffle/quota", "weft/verbs", "weft/shuffle", "weft/shuffle/flow", "weft/shuffle/mempool", "weft/internal/metrics", "weft/internal/invariants"},
	"weft/shuffle/rdma/peertest": {"weft/shuffle", "weft/shuffle/rdma", "weft/shuffle/tcp", "weft/internal/metrics", "weft/verbs"},
	"weft/shuffle/mem":           {"weft/shuffle/quota", "weft/shuffle", "weft/shuffle/serve", "weft/internal/metrics", "weft/internal/invariants"},
	"weft/shuffle/serve":         {"weft/shuffle/quota", "weft/shuffle", "weft/internal/metrics", "weft/internal/invariants"},
	"weft/shuffle/transporttest": {"weft/shuffle", "weft/internal/..."},
	"weft/shuffle":               {"weft/shuffle/crc32c", "weft/shuffle/quota", "weft/shuffle/mempool", "weft/internal/metrics", "weft/internal/invariants", "weft/internal/pb/blockpb", "weft/internal/sockio"},
	"weft/shuffle/crc32c":        {},                                                 // arithmetic on bytes
	"weft/shuffle/flow":          {},                                                 // a state machine: no clock, no I/O, nothing of what moves
	"weft/shuffle/lifeline":      {},                                                 // one silent connection: it knows nothing of Spark or blocks
	"weft/shuffle/mempool":       {"weft/shuffle/quota", "weft/internal/invariants"}, // memory: it knows nothing of blocks, Spark or metrics
	"weft/shuffle/quota":         {},                                                 // arithmetic on what it is told

	"weft/verbs":           {"weft/internal/invariants"}, // no policy: it knows nothing of blocks
	"weft/verbs/verbstest": {"weft/verbs", "weft/internal/leakcheck"},

	"weft/scripts/...":   {},                      // tools of the test hosts
	"weft/scripts/chaos": {"weft/internal/chaos"}, // the record of its two halves
	"weft/scripts/soak":  {"weft/bench/soak"},
	"weft/e2e":           {"weft/internal/status", "weft/internal/chaos"}, // it uses what users have
	"weft/e2e/data":      {"weft/bigdl/data/..."},                         // data sets beside Hadoop's own programs

	"weft/internal/arch":  {},
	"weft/internal/chaos": {}, // words and times: it knows nothing of what is broken
	"weft/internal/doctor": {
		"weft/daemon", "weft/shuffle", "weft/shuffle/mempool", "weft/shuffle/rdma", "weft/shuffle/tcp", "weft/verbs",
		"weft/internal/metrics", "weft/internal/options", "weft/internal/status", "weft/internal/version",
	}, // it tries what the daemon would
	"weft/internal/invariants":  {},
	"weft/internal/leakcheck":   {"weft/internal/invariants"},
	"weft/internal/metrics":     {},
	"weft/internal/options":     {},
	"weft/internal/pb/blockpb":  {},
	"weft/internal/pb/bridgepb": {"weft/internal/pb/blockpb"},
	"weft/internal/pb/peerpb":   {"weft/internal/pb/blockpb"},
	"weft/internal/sockio":      {}, // system calls: it knows nothing of frames
	"weft/internal/status":      {},
	"weft/internal/version":     {},
}

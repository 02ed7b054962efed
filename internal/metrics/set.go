package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Values of the label direction.
const (
	Received = "received" // this daemon asked
	Served   = "served"   // a peer asked
)

// Values of the label purpose.
const (
	Receive = "receive" // blocks fetched for an executor
	Upcall  = "upcall"  // blocks that an executor lends to its peers
	Files   = "files"   // of map outputs; of registered memory alone
)

// Values of the label state.
const (
	Allocated = "allocated" // memory that the arenas hold
	Leased    = "leased"    // the part of it that somebody uses
)

// Values of the label result.
const (
	OK     = "ok"
	Failed = "failed"
)

// Set is all metrics of one daemon. The functions take the label values in the order of the labels and give the counter to
// add to; both the functions and the counters may be used from many goroutines. A reason is a word of shuffle.Reason.
type Set struct {
	Registry *prometheus.Registry
	Metrics  []Metric // what is declared, in the order of the table; for the documentation

	BlocksTotal    func(transport, direction string) prometheus.Counter
	BytesTotal     func(transport, direction string) prometheus.Counter
	FetchSeconds   func(transport string) prometheus.Observer
	FailedBlocks   func(reason string) prometheus.Counter
	FallbackBlocks func(reason string) prometheus.Counter
	FallbackBytes  func(reason string) prometheus.Counter
	ChecksumErrors prometheus.Counter

	Sessions           prometheus.Gauge
	SessionsTotal      prometheus.Counter
	SessionsRefused    prometheus.Counter
	MapOutputs         prometheus.Gauge
	RejectedMapOutputs prometheus.Counter
	DepartedExecutors  prometheus.Gauge
	OpenFiles          prometheus.Gauge
	Upcalls            func(result string) prometheus.Counter
	UpcallSeconds      prometheus.Observer

	QuotaRefusals func(resource string) prometheus.Counter

	ArenaBytes       func(purpose, state string) prometheus.Gauge
	ArenaMaxBytes    prometheus.Gauge
	ArenaWaitSeconds prometheus.Observer
	Leases           func(purpose string) prometheus.Gauge

	RegisteredBytes func(purpose string) prometheus.Gauge
	HiddenBlocks    prometheus.Counter

	Peers        func(transport string) prometheus.Gauge
	PeerDials    func(transport, result string) prometheus.Counter
	PeerLosses   func(transport string) prometheus.Counter
	PeerProofs   func(result string) prometheus.Counter
	BuildInfo    func(version string) prometheus.Gauge
	StartSeconds prometheus.Gauge
}

// NewSet returns a set with a registry of its own.
func NewSet() *Set {
	t := &table{registry: prometheus.NewRegistry()}
	s := &Set{
		Registry: t.registry,

		BlocksTotal: t.counter2("weft_transfer_blocks_total", "transport", "direction",
			"Blocks moved whole. What is read by RDMA only the reader counts: the owner has no part in it."),
		BytesTotal: t.counter2("weft_transfer_bytes_total", "transport", "direction",
			"Bytes of blocks moved, without headers."),
		FetchSeconds: t.histogram1("weft_fetch_seconds", "transport", fetchBuckets,
			"Time from a request of an executor to the end of its last block."),
		FailedBlocks: t.counter1("weft_failed_blocks_total", "reason",
			"Blocks that the daemon told an executor it can't deliver."),
		FallbackBlocks: t.counter1("weft_fallback_blocks_total", "reason",
			"Blocks that executors handed to Spark's own client, as they report it."),
		FallbackBytes: t.counter1("weft_fallback_bytes_total", "reason",
			"Bytes that Spark's own client then delivered, as executors report it."),
		ChecksumErrors: t.counter("weft_checksum_errors_total",
			"Blocks whose bytes arrived with another CRC32C than their owner's."),

		Sessions: t.gauge("weft_sessions",
			"Sessions open: executors connected to this daemon."),
		SessionsTotal: t.counter("weft_sessions_opened_total",
			"Sessions begun since the start."),
		SessionsRefused: t.counter("weft_sessions_refused_total",
			"Sessions refused or ended because of what the executor sent."),
		MapOutputs: t.gauge("weft_map_outputs",
			"Map outputs registered."),
		RejectedMapOutputs: t.counter("weft_rejected_map_outputs_total",
			"Map outputs that could not be registered; their blocks are asked of the executor."),
		DepartedExecutors: t.gauge("weft_departed_executors",
			"Executors that have ended, and whose map outputs this daemon serves on."),
		OpenFiles: t.gauge("weft_open_files",
			"Data and index files held open for serving."),
		Upcalls: t.counter1("weft_upcalls_total", "result",
			"Blocks asked of the own executors for a peer."),
		UpcallSeconds: t.histogram("weft_upcall_seconds", fetchBuckets,
			"Time until the executor's block could be served."),

		QuotaRefusals: t.counter1("weft_quota_refusals_total", "resource",
			"Times that an application was refused more than its share (weft.app.share) of this."),

		ArenaBytes: t.gauge2("weft_arena_bytes", "purpose", "state",
			"Memory of all arenas."),
		ArenaMaxBytes: t.gauge("weft_arena_max_bytes",
			"What the arenas of all sessions may hold together (weft.memory.max)."),
		ArenaWaitSeconds: t.histogram("weft_arena_wait_seconds", fetchBuckets,
			"Time that fetches waited for arena space; those that didn't wait are not counted."),
		Leases: t.gauge1("weft_leases", "purpose",
			"Leases not yet given back."),

		RegisteredBytes: t.gauge1("weft_registered_bytes", "purpose",
			"Memory registered with the RDMA device."),
		HiddenBlocks: t.counter("weft_hidden_blocks_total",
			"Blocks that a peer would have read by RDMA, but whose memory or file could not be registered; it reads them over TCP."),

		Peers: t.gauge1("weft_peers", "transport",
			"Peers that this daemon is connected to and may ask; by rdma, once for each application."),
		PeerDials: t.counter2("weft_peer_dials_total", "transport", "result",
			"Attempts to connect to a peer."),
		PeerLosses: t.counter1("weft_peer_losses_total", "transport",
			"Peers that were lost while connected."),
		PeerProofs: t.counter1("weft_peer_proofs_total", "result",
			"Proofs by peers that they have an application's secret. One that failed, or was left out, was refused."),
		BuildInfo: t.gauge1("weft_build_info", "version",
			"Always 1; the version is the label."),
		StartSeconds: t.gauge("weft_start_time_seconds",
			"When this daemon started, in seconds since 1970."),
	}
	s.Metrics = t.metrics
	return s
}

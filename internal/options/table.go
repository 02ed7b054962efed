package options

// table is the one list of options. A line's value points into o.
func (o *Options) table() []Option {
	return []Option{
		{
			"weft.socket.dir", "path", "", "Directory of the sockets, absolute, mode 0700, or 0750 where a group may use them. What shares it is one node: one daemon and its " +
				"executors. Default: `$XDG_RUNTIME_DIR/weft`, or `weft-<uid>` in the temporary directory. The executors' key is " +
				"`spark.weft.socket.dir`.", text(&o.SocketDir),
		},
		{
			"weft.net.bind", "IP address", "", "Address to listen on for peers. Empty: every address. A specific one is also the address that is " +
				"announced.", &addrValue{&o.NetBind},
		},
		{
			"weft.net.port", "port or range", "0", "TCP port for peers, or a range such as `7400-7420` of which the first free one is taken. 0: one that " +
				"the kernel chooses.", &portsValue{&o.NetPort},
		},
		{
			"weft.net.cidr", "networks", "", "Networks whose addresses of this machine are announced to peers, in the order of preference and separated by " +
				"commas, such as `10.1.0.0/16,fd00::/8`. Empty: readers use the host name that Spark has for the executor.",
			&networksValue{&o.NetCIDR},
		},
		{
			"weft.memory.max", "size", "1g", "What the arenas of all sessions may hold together: the bound of the daemon's shared memory. " +
				"One application has at most `weft.app.share` of it, also when it is alone: 768m by default.",
			&sizeValue{&o.MemoryMax},
		},
		{
			"weft.memory.session", "size", "256m", "What the receive arena of one session may hold: blocks fetched for one executor and not yet released.",
			&sizeValue{&o.MemorySession},
		},
		{
			"weft.memory.region", "size", "64m", "Size of the regions by which arenas grow, at most 1g. A block larger than it gets a region of its own, or comes in pieces.",
			&sizeValue{&o.MemoryRegion},
		},
		{
			"weft.memory.upcall", "size", "256m", "What the upcall arena of one session may hold: blocks that the executor has in memory, while peers read them.",
			&sizeValue{&o.MemoryUpcall},
		},
		{
			"weft.memory.wait", "duration", "1s", "How long a fetch waits for arena space before its blocks are left to Spark's own client. A join may hold all " +
				"leases of one input while it waits for the other, so this must be short.", &durationValue{&o.MemoryWait},
		},
		{
			"weft.app.share", "percent", "75", "Of each thing that a daemon has so much of (memory of arenas, sessions, open files, requests under way, ...), an application may have at most this " +
				"part of what the other applications leave. So one that takes all it gets leaves something to the next. 100: it need leave nothing.", &countValue{&o.AppShare},
		},
		{
			"weft.fetch.eager.block", "size", "32k", "Blocks up to this size come with the peer's answer, without a read of their own.",
			&sizeValue{&o.FetchEagerBlock},
		},
		{
			"weft.fetch.eager.max", "size", "256k", "Arena space set aside for the eager blocks of one request; where memory is plenty, four times as much (at most 1m) for a request of more blocks than this has KiB. A block that is asked for alone comes with the answer up to " +
				"this size, but at most 128k (`weft.fetch.eager.block` where that is more), where memory is plenty, unless both sides have a device or that key is less than 4k.",
			&sizeValue{&o.FetchEagerMax},
		},
		{
			"weft.fetch.piece", "size", "4m", "Larger blocks are read in pieces of this size, smaller ones are read together up to it, or to an eighth of their request.",
			&sizeValue{&o.FetchPiece},
		},
		{
			"weft.fetch.window", "count", "8", "Reads that one request may have in flight.",
			&countValue{&o.FetchWindow},
		},
		{
			"weft.tcp.streams", "count", "4", "TCP connections to each peer that carry blocks, 1 to 16, beside the one that carries requests and small blocks; " +
				"the next one is used when 1m is on its way over one. With one, one processor receives all that comes from a peer.", &countValue{&o.TCPStreams},
		},
		{
			"weft.rdma.device", "name", "auto", "The RDMA device that moves blocks, such as `mlx5_0`. auto: the first with an active port that has an IP address; " +
				"where there is none, or none can be used, TCP is. none: TCP alone.", text(&o.RDMADevice),
		},
		{
			"weft.rdma.backoff", "duration", "1m", "How long a peer's blocks go by TCP after RDMA to it failed, until it is tried again.",
			&durationValue{&o.RDMABackoff},
		},
		{
			"weft.rdma.map", "word", "auto", "How map-output files are mapped to be registered. auto: for reading, or, where the kernel registers no such mapping " +
				"(6.1 and older), for writing, after which it writes the files to the disk once more. read: for reading, or not at all. none: not at all. What is not " +
				"registered is read over TCP.", text(&o.RDMAMap),
		},
		{
			"weft.memory.registered.max", "size", "1g", "What may be registered with the RDMA device of map-output files, and so stay in memory, beside the arenas. What is above it is read " +
				"over TCP.", &sizeValue{&o.MemoryRegisteredMax},
		},
		{
			"weft.checksum", "boolean", "true", "Whether a daemon serves blocks with their CRC32C, which whoever reads them then compares before they are delivered. Without, RDMA is not used: only the checksum tells that a file was truncated while a device read it.",
			&boolValue{&o.Checksum},
		},
		{
			"weft.outlive.max", "size", "0", "What map outputs of executors that have ended may hold on the disks together. Above it, those of the executor that ended first " +
				"are given up, and their tasks run again if they are asked for. 0: no bound.", &sizeValue{&o.OutliveMax},
		},
		{
			"weft.files.max", "count", "1024", "Data and index files held open for serving.",
			&countValue{&o.FilesMax},
		},
		{
			"weft.peer.connect.timeout", "duration", "3s", "How long connecting to a peer may take before its blocks are left to Spark's own client.",
			&durationValue{&o.PeerConnectTimeout},
		},
		{
			"weft.peer.timeout", "duration", "10s", "A peer that sends nothing for this long while it owes an answer, not even to a ping, counts as lost.",
			&durationValue{&o.PeerTimeout},
		},
		{
			"weft.daemon.grace", "duration", "0s", "The daemon leaves when no session was open for this long. 0: it stays. Executors that start a daemon " +
				"themselves (spark.weft.daemon.mode=auto) pass 10s.", &durationValue{&o.DaemonGrace},
		},
		{
			"weft.metrics.address", "host:port", "", "TCP address for the metrics, such as `127.0.0.1:9404`. Empty: only the admin socket has them.",
			text(&o.MetricsAddress),
		},
		{
			"weft.log.level", "level", "info", "debug, info, warn or error.", &levelValue{&o.LogLevel},
		},
	}
}

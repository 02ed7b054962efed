package options

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// MaxRegion is the largest region that the protocol to the JVM allows.
const MaxRegion = 1 << 30

// Options are the daemon's options. Sizes are bytes.
type Options struct {
	SocketDir string

	NetBind netip.Addr // zero: every address
	NetPort PortRange
	NetCIDR []netip.Prefix // none: addresses are not announced unless NetBind is one

	MemoryMax     int64
	MemorySession int64
	MemoryRegion  int64
	MemoryUpcall  int64
	MemoryWait    time.Duration

	FetchEagerBlock int64
	FetchEagerMax   int64
	FetchPiece      int64
	FetchWindow     int

	TCPStreams int

	RDMADevice          string // "auto", "none", or a device's name
	RDMABackoff         time.Duration
	RDMAMap             string // "auto", "read" or "none"
	MemoryRegisteredMax int64

	AppShare int // percent

	Checksum   bool
	FilesMax   int
	OutliveMax int64 // 0: no bound

	PeerConnectTimeout time.Duration
	PeerTimeout        time.Duration

	DaemonGrace    time.Duration
	MetricsAddress string
	LogLevel       slog.Level
}

// NoRDMA is why blocks may not move by RDMA whatever devices there are; "" where they may.
func (o *Options) NoRDMA() string {
	switch {
	case o.RDMADevice == "none":
		return "weft.rdma.device is none"
	case !o.Checksum:
		return "weft.checksum is false, and only checksums tell that a file was truncated while a device read it"
	default:
		return ""
	}
}

// Option is one line of the table.
type Option struct {
	Key     string // weft.memory.max; WEFT_MEMORY_MAX in the environment, --memory-max as a flag
	Type    string // size, duration, count, boolean, ...
	Default string // as it would be written
	Doc     string

	value value
}

// Env is the option's environment variable.
func (o Option) Env() string {
	return strings.ToUpper(strings.ReplaceAll(o.Key, ".", "_"))
}

// Flag is the option's flag, without the dashes.
func (o Option) Flag() string {
	return strings.ReplaceAll(strings.TrimPrefix(o.Key, "weft."), ".", "-")
}

// Default returns the options as they are when nothing is configured.
func Default() Options {
	var o Options
	for _, opt := range o.table() {
		if err := opt.value.Set(opt.Default); err != nil {
			panic(fmt.Sprintf("options: default of %s: %v", opt.Key, err))
		}
	}
	o.SocketDir = DefaultSocketDir()
	return o
}

// Table lists the options for flags and documentation.
func Table() []Option {
	var o Options
	return o.table()
}

// DefaultSocketDir is where the daemon and the executors of this user meet when nothing is configured.
func DefaultSocketDir() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "weft")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("weft-%d", os.Getuid()))
}

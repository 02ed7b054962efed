package options

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weft.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreValid(t *testing.T) {
	o := Default()
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	if o.MemoryMax != 1<<30 || o.FetchPiece != 4<<20 || o.MemoryWait != time.Second || !o.Checksum {
		t.Errorf("defaults: %+v", o)
	}
}

func TestNamesOfAnOption(t *testing.T) {
	for _, o := range Table() {
		if o.Key == "weft.fetch.eager.block" {
			if o.Env() != "WEFT_FETCH_EAGER_BLOCK" || o.Flag() != "fetch-eager-block" {
				t.Errorf("got %s and %s", o.Env(), o.Flag())
			}
			return
		}
	}
	t.Fatal("weft.fetch.eager.block is missing")
}

func TestLaterSourcesWin(t *testing.T) {
	file := writeFile(t, `
# a comment
weft.memory.max: 2g
weft:
  memory: {session: 128m}
  net:
    cidr: [10.1.0.0/16, 192.168.0.1/24]
    port: 7400-7420
  checksum: no
weft.files.max: 64
`)
	o, err := Load(Sources{
		File:    file,
		Environ: []string{"PATH=/bin", "WEFT_MEMORY_MAX=3g", "WEFT_FETCH_WINDOW=4"},
		Flags:   map[string]string{"fetch-window": "5", "checksum": "true"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.MemoryMax, want.MemorySession, want.FilesMax, want.FetchWindow = 3<<30, 128<<20, 64, 5
	want.NetPort = PortRange{7400, 7420}
	if o.MemoryMax != want.MemoryMax || o.MemorySession != want.MemorySession || o.FilesMax != want.FilesMax ||
		o.FetchWindow != want.FetchWindow || o.NetPort != want.NetPort || !o.Checksum {
		t.Errorf("got  %+v\nwant %+v", o, want)
	}
	if len(o.NetCIDR) != 2 || o.NetCIDR[1] != netip.MustParsePrefix("192.168.0.0/24") {
		t.Errorf("networks %v", o.NetCIDR)
	}
}

func TestFileNamedByEnvironment(t *testing.T) {
	o, err := Load(Sources{Environ: []string{"WEFT_CONFIG=" + writeFile(t, "weft.fetch.window: 3")}})
	if err != nil || o.FetchWindow != 3 {
		t.Fatalf("window %d, %v", o.FetchWindow, err)
	}
}

// Everything that is wrong is reported at once, each with its source.
func TestAllErrorsAtOnce(t *testing.T) {
	file := writeFile(t, "weft.memory.maxx: 1g\nweft.fetch.window: many\nweft:\n  net: {port: 1-2}\nweft.net.port: 3\nweft.log.level: [a: b]\n")
	_, err := Load(Sources{
		File:    file,
		Environ: []string{"WEFT_TYPO=1", "WEFT_MEMORY_WAIT=10"},
		Flags:   map[string]string{"net-port": "9-8", "tcp-streams": "17"},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"weft.yaml:1: weft.memory.maxx is no option",
		`weft.yaml:2): "many" is not a count`,
		"weft.net.port was set in line 4 already",
		"weft.yaml:6: weft.log.level needs one value",
		"WEFT_TYPO is no option",
		`weft.memory.wait (environment variable WEFT_MEMORY_WAIT): "10" is not a duration`,
		`weft.net.port (flag --net-port): "9-8"`,
		"weft.tcp.streams is 17, not 1 to 16",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in:\n%v", want, err)
		}
	}
}

func TestValidateListsEveryConflict(t *testing.T) {
	o := Default()
	o.SocketDir = "relative"
	o.MemoryRegion = 2<<30 + 1
	o.MemorySession = 2 << 30
	o.FetchEagerBlock = 1 << 20
	o.FetchPiece = 100
	o.PeerTimeout = 0
	o.MetricsAddress = "9404"
	o.NetBind = netip.MustParseAddr("192.168.1.1")
	o.NetCIDR = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	err := o.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`weft.socket.dir "relative" is not an absolute path`,
		"not a multiple of 4k",
		"more than 1g, the most",
		"weft.memory.region is 2147483649, more than weft.memory.session (2g)",
		"weft.memory.session is 2g, more than weft.memory.max (1g)",
		"weft.fetch.eager.block is 1m, more than weft.fetch.eager.max (256k)",
		"weft.fetch.piece is 100, less than 4k",
		"weft.peer.timeout is 0",
		`weft.metrics.address "9404" is not host:port`,
		"weft.net.bind 192.168.1.1 lies in none",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in:\n%v", want, err)
		}
	}
}

func TestSocketPathMustFit(t *testing.T) {
	o := Default()
	o.SocketDir = "/" + strings.Repeat("d", 94)
	if err := o.Validate(); err == nil || !strings.Contains(err.Error(), "has 108 bytes, a socket's path may have 107") {
		t.Errorf("got %v", err)
	}
	o.SocketDir = o.SocketDir[:94]
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
}

// One option is enough for a small arena; what was set is never changed.
func TestDefaultsFitWhatWasSet(t *testing.T) {
	o, err := Load(Sources{Flags: map[string]string{"memory-session": "1000k"}})
	if err != nil {
		t.Fatal(err)
	}
	if o.MemorySession != 1000<<10 || o.MemoryRegion != 1000<<10 || o.FetchPiece != 1000<<10 || o.FetchEagerMax != 256<<10 || o.MemoryUpcall != 256<<20 {
		t.Errorf("small session: %+v", o)
	}
	o, err = Load(Sources{Flags: map[string]string{"memory-max": "100001"}})
	if err != nil {
		t.Fatal(err)
	}
	if o.MemorySession != 73728 || o.MemoryUpcall != 73728 || o.MemoryRegion != 73728 || o.FetchEagerMax != 73728 || o.FetchEagerBlock != 32<<10 {
		t.Errorf("small daemon, of which an application may have 75 %%: %+v", o)
	}
	_, err = Load(Sources{Flags: map[string]string{"memory-session": "1m", "memory-region": "2m", "fetch-piece": "4m"}})
	if err == nil || !strings.Contains(err.Error(), "weft.memory.region is 2m, more than weft.memory.session (1m)") ||
		!strings.Contains(err.Error(), "weft.fetch.piece is 4m, more than weft.memory.region (2m)") {
		t.Errorf("a conflict of what was set: %v", err)
	}
}

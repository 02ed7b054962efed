package options

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "65536": 65536, "64k": 65536, "64KB": 65536, " 1m ": 1 << 20, "3g": 3 << 30, "2t": 2 << 40, "17b": 17,
		"9223372036854775807": math.MaxInt64, "8388607t": 8388607 << 40,
	} {
		got, err := ParseSize(text)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "b", "k", "kb", "-1", "1.5g", "1x", "1kk", "1 k", "0x10", "8388608t", "9223372036854775808", "1e3"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: %d, want an error", text, got)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"0", "1k", "64MB", "9223372036854775807", "tb", "-1g", "1048576"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseSize(s)
		if err != nil {
			return
		}
		if n < 0 {
			t.Fatalf("%q is %d", s, n)
		}
		again, err := ParseSize(FormatSize(n))
		if err != nil || again != n {
			t.Fatalf("%q: %d is written %s, read as %d, %v", s, n, FormatSize(n), again, err)
		}
	})
}

// Whatever the file holds, it is options or an error with a line, never a panic, and what was accepted keeps its bounds.
func FuzzYAML(f *testing.F) {
	for _, s := range []string{
		"weft.memory.max: 1g", "weft: {net: {cidr: [10.0.0.0/8]}}", "- a", "a: &x {b: *x}", "weft:\n  memory:\n    max: !!null",
		"weft.checksum: yes", "? [a]\n: b", "<<: {weft.files.max: 3}", "\xff", "weft.net.port: 7400-7420",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o := Default()
		l := &loader{options: o.table(), given: map[string]bool{}}
		l.yaml("fuzz.yaml", []byte(s))
		if o.FetchWindow < 1 || o.FilesMax < 1 || o.MemoryMax < 0 || o.MemoryWait < 0 || o.NetPort.Low > o.NetPort.High {
			t.Fatalf("%q: %+v", s, o)
		}
	})
}

// Whatever environment and command line say, it is options without a conflict or an error with words, never a panic.
func FuzzLoad(f *testing.F) {
	for _, s := range [][2]string{
		{"WEFT_MEMORY_MAX=1g\nWEFT_APP_SHARE=50", "memory-region=64m"},
		{"WEFT_NET_PORT=7400-7420\nPATH=/bin\nWEFT_", "net-port=70000"},
		{"WEFT_SOCKET_DIR=relative\nWEFT_CONFIG_X=1", "socket-dir="},
		{"WEFT_NET_CIDR=10.0.0.0/8,fd00::/8\nWEFT_NET_BIND=10.1.0.1", "app-share=101"},
		{"WEFT_MEMORY_MAX=1m", "fetch-piece=0"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, environ, flags string) {
		src := Sources{Flags: map[string]string{}}
		for _, line := range strings.Split(environ, "\n") {
			if !strings.HasPrefix(line, ConfigEnv+"=") { // a file that is read is FuzzYAML's
				src.Environ = append(src.Environ, line)
			}
		}
		for _, line := range strings.Split(flags, "\n") {
			name, value, _ := strings.Cut(line, "=")
			src.Flags[name] = value
		}
		o, err := Load(src)
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Fatal("an error without words")
			}
			return
		}
		if o.AppShare < 1 || o.AppShare > 100 || o.MemoryRegion > o.MemorySession || o.MemorySession > o.MemoryMax || o.FetchPiece > o.MemoryRegion ||
			o.FetchWindow < 1 || o.FilesMax < 1 || o.PeerTimeout <= 0 || !filepath.IsAbs(o.SocketDir) {
			t.Fatalf("%q, %q: %+v", environ, flags, o)
		}
	})
}

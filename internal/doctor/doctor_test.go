package doctor

import (
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weft/internal/options"
)

// machineOf has these files in place of the machine's own, and this environment.
func machineOf(t *testing.T, files map[string]string, env map[string]string) *machine {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m := &machine{opts: options.Default(), root: root, getenv: func(name string) string { return env[name] }}
	m.rdma = libraries{
		load:    func() error { return nil },
		devices: func() ([]string, error) { return m.sys().DeviceNames() },
	}
	m.opts.SocketDir = filepath.Join(root, "sockets")
	return m
}

func (r Result) is(t *testing.T, outcome Outcome, found, todo string) {
	t.Helper()
	if r.Outcome != outcome || !strings.Contains(r.Found, found) || !strings.Contains(r.Todo, todo) || (todo == "") != (r.Todo == "") {
		t.Errorf("got %+v, want %s, %q -> %q", r, outcome, found, todo)
	}
}

func TestMemory(t *testing.T) {
	const meminfo, cgroup2, cgroup1 = "proc/meminfo", "sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"
	const plenty = "MemTotal: 8388608 kB\nMemAvailable:   4194304 kB\n"
	check := func(files map[string]string) Result { return machineOf(t, files, nil).memory(t.Context()) }
	check(map[string]string{meminfo: plenty}).is(t, OK, "4.0 GiB available", "")
	check(map[string]string{meminfo: plenty, cgroup2: "max\n"}).is(t, OK, "4.0 GiB available", "")
	check(map[string]string{meminfo: plenty, cgroup2: "536870912\n"}).is(t, Fail, "the cgroup allows 512.0 MiB", "lower weft.memory.max")
	check(map[string]string{meminfo: plenty, cgroup1: "536870912\n"}).is(t, Fail, "the cgroup allows 512.0 MiB", "lower weft.memory.max")
	check(map[string]string{meminfo: "MemAvailable: 1024 kB\n"}).is(t, Fail, "1.0 MiB available", "lower weft.memory.max")
}

func TestKernelHere(t *testing.T) {
	m := machineOf(t, nil, nil)
	m.memfd(t.Context()).is(t, OK, "seals", "")
	m.openat2(t.Context()).is(t, OK, "below a directory", "")
	m.nofileOf(4096).is(t, Warn, "can reach 153 peers", "LimitNOFILE")
	m.nofileOf(1<<16).is(t, OK, "65536", "")
	m.opts.FilesMax = math.MaxInt32
	m.nofile(t.Context()).is(t, Fail, "weft.files.max and connections need 2147484543", "LimitNOFILE")
}

func TestSockets(t *testing.T) {
	m := machineOf(t, nil, nil)
	m.daemon(t.Context()).is(t, Warn, "none is running", "weft daemon")
	m.socketDir(t.Context()).is(t, OK, "will be made", "")
	m.opts.SocketDir = filepath.Join(m.root, "absent", "sockets")
	m.socketDir(t.Context()).is(t, Fail, "absent", "mode 0700")

	m.opts.NetBind = netip.MustParseAddr("127.0.0.1")
	m.announced(t.Context()).is(t, OK, "127.0.0.1", "")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	m.opts.NetPort = options.PortRange{Low: port, High: port}
	m.peerPort(t.Context()).is(t, Fail, "no free port", "widen weft.net.port")
}

func TestJavaAndSpark(t *testing.T) {
	const program = "#!/bin/sh\necho 'openjdk version \"21.0.1\" 2025-01-01' >&2\n"
	m := machineOf(t, map[string]string{
		"jdk/bin/java":                         program,
		"spark/jars/spark-core_2.13-4.0.5.jar": "",
	}, nil)
	env := map[string]string{"JAVA_HOME": m.root + "/jdk", "SPARK_HOME": m.root + "/spark"}
	m.getenv = func(name string) string { return env[name] }
	m.java(t.Context()).is(t, OK, "version 21.0.1", "")
	m.spark(t.Context()).is(t, OK, "version 4.0.5 for Scala 2.13", "")

	env = map[string]string{"JAVA_HOME": m.root + "/nowhere", "SPARK_HOME": m.root + "/jdk"}
	m.java(t.Context()).is(t, Fail, "JAVA_HOME is set but", "set JAVA_HOME")
	m.spark(t.Context()).is(t, Warn, "no jars/spark-core_*.jar", "set SPARK_HOME")
}

func TestPrint(t *testing.T) {
	var b strings.Builder
	results := []Result{ok("good"), fail("mend it", "bad")}
	results[0].Check, results[1].Check = "one", "two"
	if err := Print(&b, results); err != nil {
		t.Fatal(err)
	}
	if want := "ok    one                  good\nfail  two                  bad -> mend it\n"; b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
	if Healthy(results) || !Healthy(results[:1]) {
		t.Error("Healthy")
	}
}

package status

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"weft/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

func example() *Status {
	return &Status{
		Schema: Schema, Version: "0.1.0", PID: 4711, DaemonID: "00112233445566778899aabbccddeeff",
		Started:   time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC),
		SocketDir: "/run/weft", PeerPort: 7400, Announced: []string{"10.1.0.7"}, CPU: 12.5,
		RDMA:   &RDMA{Device: "mlx5_0", Address: "10.2.0.7:33221", RegisteredBytes: 3 << 20},
		Memory: Memory{MaxBytes: 1 << 30, ReceiveBytes: 128 << 20, UpcallBytes: 0},
		Apps:   []App{{App: "app-1", Uses: map[string]int64{"sessions": 1, "memory": 128 << 20}}},
		Sessions: []Session{{
			ID: 3, App: "app-1", Executor: "7", UID: 1000, PID: 99, Version: "0.1.0", AgeSeconds: 61, MapOutputs: 12, Fetches: 2,
			Receive: Arena{MaxBytes: 256 << 20, AllocatedBytes: 128 << 20, LeasedBytes: 1536, Leases: 2},
			Upcall:  Arena{MaxBytes: 256 << 20},
		}},
		Departed:   []Departed{{App: "app-1", Executor: "5", MapOutputs: 4, MapOutputBytes: 2 << 20}},
		MapOutputs: 12, OpenFiles: 9,
		Peers:     []Peer{{DaemonID: "ff", Address: "10.1.0.8:7400", Transport: "tcp"}},
		Transfers: []Transfer{{Transport: "tcp", Direction: "received", Blocks: 1000, Bytes: 3 << 30}},
		Fallbacks: []Count{{Reason: "peer_lost", Blocks: 3, Bytes: 4096}},
		Refused:   []Refusal{{Resource: "memory", Times: 2}},
	}
}

const exampleTable = `  daemon            version 0.1.0, pid 4711, up 1m0s
  sockets           /run/weft
  peers reach it at port 7400 of 10.1.0.7
  rdma              device mlx5_0 at 10.2.0.7:33221, 3.0 MiB of map outputs registered
  cpu time          12.5 s
  memory            128.0 MiB receive + 0 B upcall of 1.0 GiB
  map outputs       12, 9 files open

shares of applications
  application  uses
  app-1        memory 128.0 MiB, sessions 1

sessions
  id  application  executor  pid  age   map outputs  fetches  receive leased/allocated  leases  upcall leased/allocated
  3   app-1        7         99   1m1s  12           2        1.5 KiB/128.0 MiB         2       0 B/0 B

executors that have ended
  application  executor  map outputs  bytes
  app-1        5         4            2.0 MiB

peers
  address        transport  daemon
  10.1.0.8:7400  tcp        ff

moved
  transport  direction  blocks  bytes
  tcp        received   1000    3.0 GiB

refused, above an application's share
  resource  times
  memory    2

by Spark's own client
  reason     blocks  bytes
  peer_lost  3       4.0 KiB
`

func TestPrint(t *testing.T) {
	var b strings.Builder
	s := example()
	if err := Print(&b, s, s.Started.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if squeeze(b.String()) != squeeze(exampleTable) {
		t.Errorf("got\n%s\nwant\n%s", b.String(), exampleTable)
	}
}

// squeeze makes runs of blanks one, so that the test is about words and not about widths.
func squeeze(s string) string {
	for strings.Contains(s, "  ") {
		s = strings.ReplaceAll(s, "  ", " ")
	}
	return s
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 1 << 30: "1.0 GiB", 5 << 50: "5.0 PiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// The names are a promise to scripts: this test changes only together with Schema.
func TestJSONNames(t *testing.T) {
	b, err := json.Marshal(example())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		`"schema":1`, `"daemon_id":`, `"peer_port":7400`, `"announced":["10.1.0.7"]`, `"max_bytes":1073741824`, `"app":"app-1"`, `"executor":"7"`,
		`"allocated_bytes":`, `"leased_bytes":1536`, `"leases":2`, `"map_outputs":12`, `"fallbacks":[{"reason":"peer_lost","blocks":3,"bytes":4096}]`,
		`"apps":[{"app":"app-1","uses":{"memory":134217728,"sessions":1}}]`, `"refused":[{"resource":"memory","times":2}]`,
		`"transfers":[{"transport":"tcp","direction":"received","blocks":1000,"bytes":3221225472}]`,
	} {
		if !strings.Contains(string(b), name) {
			t.Errorf("%s is missing in %s", name, b)
		}
	}
}

// serve answers at the admin socket of a new directory.
func serve(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, AdminSocket))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: handle}
	done := make(chan struct{})
	go func() { _ = srv.Serve(l); close(done) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return dir
}

func TestGet(t *testing.T) {
	dir := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status" {
			t.Errorf("asked for %s", r.URL)
		}
		_ = json.NewEncoder(w).Encode(example())
	})
	got, err := Get(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, example()) {
		t.Errorf("got %+v", got)
	}
}

func TestGetSaysWhatIsWrong(t *testing.T) {
	if _, err := Get(t.Context(), t.TempDir()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no socket: %v", err)
	}
	stale := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(stale, AdminSocket))
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if _, err := os.Lstat(filepath.Join(stale, AdminSocket)); err != nil {
		t.Fatal(err)
	}
	if _, err := Get(t.Context(), stale); !errors.Is(err, ErrNotRunning) {
		t.Errorf("nobody listens: %v", err)
	}
	newer := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"schema":2,"version":"9"}`)) })
	if _, err := Get(t.Context(), newer); err == nil || !strings.Contains(err.Error(), "schema 2") {
		t.Errorf("newer schema: %v", err)
	}
	broken := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	if _, err := Get(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("failing daemon: %v", err)
	}
}

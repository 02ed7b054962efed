package soak

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"weft/internal/status"
)

// fake is a daemon that tells what the test has it tell. Its process is the test's.
type fake struct {
	status  status.Status
	metrics map[string]float64
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/status" {
		_ = json.NewEncoder(w).Encode(f.status)
		return
	}
	for name, value := range f.metrics {
		fmt.Fprintf(w, "# TYPE %s gauge\n%s{purpose=\"receive\"} %g\n%s{purpose=\"upcall\"} 0\n", name, name, value, name)
	}
}

// serve starts one as a host's, in the cluster's directory.
func serve(t *testing.T, dir, host string) *fake {
	t.Helper()
	socket := filepath.Join(dir, host, "tmp/weft-0", status.AdminSocket)
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{status: status.Status{Schema: status.Schema, PID: os.Getpid(), DaemonID: "of " + host}, metrics: map[string]float64{}}
	for _, figure := range Figures {
		if figure.metrics != "" {
			f.metrics[figure.metrics] = 0
		}
	}
	f.metrics["go_goroutines"] = 30
	server := &http.Server{Handler: f}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return f
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// sessionsAt is 1 at each third time, and 0 at the two after it.
func sessionsAt(n int) float64 {
	if n%3 == 0 {
		return 1
	}
	return 0
}

// TestLeaksAreFound has two daemons that are busy at each third time. One leaks, in one figure after the other.
func TestLeaksAreFound(t *testing.T) {
	for _, c := range []struct {
		name  string
		leak  func(t *testing.T, f *fake, dir string, n int)
		finds string // in the one failure; "": none
	}{
		{"nothing", func(*testing.T, *fake, string, int) {}, ""},
		{"while busy alone", func(_ *testing.T, f *fake, _ string, n int) { f.metrics["weft_leases"] = sessionsAt(n) * float64(n) }, ""},
		{"until what the last executor left is put away", func(_ *testing.T, f *fake, _ string, n int) {
			f.metrics["weft_map_outputs"] = sessionsAt(n-1) * float64(n)
		}, ""},
		{"goroutines", func(_ *testing.T, f *fake, _ string, n int) { f.metrics["go_goroutines"] = 30 + float64(n) }, "h2: goroutines grows by 60 an hour at rest: by 27, from 41"},
		{"leases", func(_ *testing.T, f *fake, _ string, n int) { f.metrics["weft_leases"] = float64(n / 10) }, "h2: leases grows by"},
		{"registered memory", func(_ *testing.T, f *fake, _ string, n int) {
			f.metrics["weft_registered_bytes"] = float64(n) * mebi
		}, "h2: registered grows by 60 MiB an hour at rest"},
		{"arenas", func(_ *testing.T, f *fake, _ string, n int) { f.status.Memory.UpcallBytes = int64(n) * mebi }, "h2: arenas grows by 60 MiB"},
		{"links", func(t *testing.T, _ *fake, dir string, n int) {
			write(t, filepath.Join(dir, "h2/tmp/spark-1/weft-kept-1", fmt.Sprint(n)))
		}, "h2: kept_links grows by"},
		{"sockets", func(t *testing.T, _ *fake, dir string, n int) {
			write(t, filepath.Join(dir, "h2/tmp/weft-0", fmt.Sprint(n)))
		}, "h2: socket_files grows by"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, r := t.TempDir(), &Run{}
			good, bad := serve(t, dir, "h1"), serve(t, dir, "h2")
			for n := range 40 { // one a minute
				for _, f := range []*fake{good, bad} {
					f.metrics["weft_sessions"] = sessionsAt(n)
				}
				c.leak(t, bad, dir, n)
				r.sample(t.Context(), dir, float64(n)*60)
			}
			r.Judge()
			if c.finds == "" && len(r.Failures) != 0 {
				t.Errorf("%q", r.Failures)
			}
			if c.finds != "" && (len(r.Failures) != 1 || !strings.HasPrefix(r.Failures[0], c.finds)) {
				t.Errorf("%q, want %q", r.Failures, c.finds)
			}
		})
	}
}

func TestDescriptorsAndExecutorsAreSampled(t *testing.T) {
	dir, r := t.TempDir(), &Run{}
	f := serve(t, dir, "h1")
	f.status.Sessions = []status.Session{{Executor: "driver", PID: int32(os.Getpid())}, {Executor: "1", PID: int32(os.Getpid())}, {Executor: "2", PID: -1}}
	f.metrics["weft_sessions"] = 3
	write(t, filepath.Join(dir, "h1/tmp/weft-0/daemon.log"))
	r.sample(t.Context(), dir, 0)
	v := r.Lives[0].Samples[0].Values
	if v["rss"] < mebi || v["fds"] < 3 || v["executors_fds"] != v["fds"] || v["log"] != 5 || v["socket_files"] != 2 {
		t.Errorf("%v", v)
	}
	f.status.DaemonID = "the next"
	r.sample(t.Context(), dir, 1)
	delete(f.metrics, "weft_peers")
	r.sample(t.Context(), dir, 2)
	if len(r.Lives) != 2 || len(r.Lives[1].Samples) != 2 {
		t.Errorf("%d lives; a daemon that never had a peer is not seen, or one is taken for the one before", len(r.Lives))
	}
}

func TestMetricsOfFiguresAreTheDaemons(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md") // generated from the daemon's
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Figures {
		if strings.HasPrefix(f.metrics, "weft_") && !strings.Contains(string(page), "| `"+f.metrics+"` | gauge |") {
			t.Errorf("%s: the daemon has no gauge %s", f.Name, f.metrics)
		}
	}
}

// lives are of hosts, each from a minute to another.
func lives(spans ...[2]int) *Run {
	r := &Run{Seconds: 3600}
	for i, span := range spans {
		l := &Life{Host: fmt.Sprint("h", i), Daemon: fmt.Sprint(i)}
		for m := span[0]; m <= span[1]; m++ {
			l.Samples = append(l.Samples, Sample{float64(m) * 60, map[string]float64{"goroutines": float64(m), "sessions": sessionsAt(m)}})
		}
		r.Lives = append(r.Lives, l)
	}
	return r
}

func TestShortLivesAreNotJudged(t *testing.T) {
	r := lives([2]int{0, 20}, [2]int{20, 60})
	if r.Judge(); len(r.Failures) != 1 || !strings.HasPrefix(r.Failures[0], "h1: goroutines") || r.Verdicts[0].Host != "h1" {
		t.Errorf("%q", r.Failures)
	}
	r = lives([2]int{0, 20}, [2]int{20, 40})
	if r.Judge(); len(r.Failures) != 1 || !strings.Contains(r.Failures[0], "no daemon lived") {
		t.Errorf("%q", r.Failures)
	}
	r = lives([2]int{0, 60})
	for i := range r.Lives[0].Samples {
		r.Lives[0].Samples[i].Values["sessions"] = 1
	}
	if r.Judge(); len(r.Failures) != 1 || !strings.Contains(r.Failures[0], "0 times of rest") {
		t.Errorf("%q", r.Failures)
	}
}

func TestSave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	r := lives([2]int{0, 20}, [2]int{5, 60})
	r.Judge()
	if err := r.Save(dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "soak.json"))
	var again Run
	if err == nil {
		err = json.Unmarshal(b, &again)
	}
	if err != nil || !reflect.DeepEqual(&again, r) {
		t.Errorf("%v", err)
	}
	html, err := os.ReadFile(filepath.Join(dir, "soak.html"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(html), "<svg"); n != len(Figures) {
		t.Errorf("%d plots of %d figures", n, len(Figures))
	}
	for _, want := range []string{"<strong>FAILED</strong>", "h1: goroutines grows by 60 an hour", `<tr class="failed"><td class="text">h1</td>`} {
		if !strings.Contains(string(html), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestRestsCountOnce has rests of several samples, and of one, which is its beginning and no more.
func TestRestsCountOnce(t *testing.T) {
	l := &Life{}
	for i, s := range []struct{ sessions, rss float64 }{{1, 900}, {0, 10}, {0, 20}, {0, 90}, {1, 900}, {1, 900}, {0, 30}, {1, 900}, {0, 50}, {0, 40}} {
		l.Samples = append(l.Samples, Sample{float64(i), map[string]float64{"sessions": s.sessions, "rss": s.rss}})
	}
	if got, want := l.resting("rss"), []Point{{2.5, 55}, {9, 40}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

package daemon

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"weft/internal/leakcheck"
	"weft/internal/options"
	"weft/internal/pb/bridgepb"
	"weft/internal/status"
)

// Memory follows what is configured, not what is moved: eight executors fetch ten times the budget of their daemon.
func TestMemoryIsBounded(t *testing.T) {
	opts := testOptions(t)
	opts.MemoryMax = 32 << 20
	a, b := startChild(t, opts), startChild(t, testOptions(t))
	owner := join(t, bridgeOf(b), "app", "owner")
	want := owner.mapOutput(t, 0, 0, 1<<20, 100, 2<<20, 4000, 500<<10, 4<<20)
	var all sync.WaitGroup
	for i := range 8 {
		reader := join(t, bridgeOf(a), "app", string(rune('a'+i)))
		all.Go(func() {
			for range 6 {
				m := reader.shuffled(owner, 0, 0, len(want))
				m.Delivery = bridgepb.Delivery_DELIVERY_PIECES
				got, err := reader.FetchAll(t.Context(), m)
				if err != nil {
					t.Error(err)
					return
				}
				for _, block := range got {
					if block.Reason != 0 && block.Reason.String() != "REASON_NO_SPACE" {
						t.Errorf("%v: %s", block.Reason, block.Detail)
					}
				}
			}
		})
	}
	all.Wait()
	s := statusOf(t, a.dir)
	if s.Memory.ReceiveBytes+s.Memory.UpcallBytes > s.Memory.MaxBytes {
		t.Errorf("memory %+v", s.Memory)
	}
	if received := s.Transfers[0].Bytes; received < 4*s.Memory.MaxBytes {
		t.Errorf("only %s moved", status.Bytes(received))
	}
	if rss, bound := rssOf(t, a.cmd.Process.Pid), int64(maxIdleRSS)+opts.MemoryMax; rss > bound {
		t.Errorf("the reading daemon has %s resident, want at most %s", status.Bytes(rss), status.Bytes(bound))
	}
	if rss := rssOf(t, b.cmd.Process.Pid); rss > maxIdleRSS {
		t.Errorf("the serving daemon has %s resident, want at most %s", status.Bytes(rss), status.Bytes(maxIdleRSS))
	}
}

// The admin socket has everything, the public address the metrics alone.
func TestEndpoints(t *testing.T) {
	leakcheck.Check(t)
	opts := testOptions(t)
	free, err := ListenPeers(t.Context(), loopback, options.PortRange{})
	if err != nil {
		t.Fatal(err)
	}
	opts.MetricsAddress = free.Addr().String()
	free.Close()
	d := startDaemon(t, opts)
	admin := status.Client(opts.SocketDir)
	public := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

	get := func(c *http.Client, url string) (int, string) {
		t.Helper()
		res, err := c.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	for client, base := range map[*http.Client]string{admin: "http://weft", public: "http://" + opts.MetricsAddress} {
		code, body := get(client, base+"/metrics")
		for _, want := range []string{
			`weft_build_info\{version=".+"\} 1`, `weft_sessions 0`, `weft_arena_max_bytes 6\.7108864e\+07`,
			`weft_fallback_blocks_total\{reason="peer_lost"\} 0`, `process_resident_memory_bytes [0-9]`, `process_cpu_seconds_total [0-9]`,
		} {
			if code != http.StatusOK || !regexp.MustCompile(`(?m)^`+want).MatchString(body) {
				t.Errorf("%s: %d without %s", base, code, want)
			}
		}
	}
	for path, wants := range map[string][2]int{"/status": {200, 404}, "/debug/pprof/goroutine": {200, 404}, "/": {404, 404}} {
		if code, _ := get(admin, "http://weft"+path); code != wants[0] {
			t.Errorf("admin socket, %s: %d", path, code)
		}
		if code, _ := get(public, "http://"+opts.MetricsAddress+path); code != wants[1] {
			t.Errorf("public address, %s: %d", path, code)
		}
	}
	if _, body := get(admin, "http://weft/status"); strings.Contains(body, "null") {
		t.Errorf("a list is null: %s", body)
	}
	d.stop()
}

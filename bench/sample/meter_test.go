package sample

import (
	"fmt"
	"reflect"
	"testing"
	"testing/fstest"

	"weft/bench/result"
)

// machine is a fake /proc and /sys.
type machine fstest.MapFS

func (m machine) put(name, format string, args ...any) {
	m[name] = &fstest.MapFile{Data: []byte(fmt.Sprintf(format, args...))}
}

// process puts one that used ticks of CPU, half of them in the kernel; its command is a trap.
func (m machine) process(pid, start, ticks, anonKiB, shmemKiB int) {
	m.put(fmt.Sprintf("proc/%d/stat", pid), "%d (a) b (c d) S 1 2 3 0 -1 4 5 6 7 8 %d %d 9 9 20 0 30 0 %d 1000 200\n", pid, ticks/2, ticks/2, start)
	m.put(fmt.Sprintf("proc/%d/status", pid), "Name:\tjava\nVmRSS:\t  999 kB\nRssAnon:\t  %d kB\nRssFile:\t  777 kB\nRssShmem:\t %d kB\nThreads:\t30\n",
		anonKiB, shmemKiB)
}

func (m machine) network(pid, received, sent int) {
	m.put(fmt.Sprintf("proc/%d/net/dev", pid), `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 5000000      12    0    0    0     0          0         0 5000000       12    0    0    0     0       0          0
  eth0:%d      12    0    0    0     0          0         0 %d       12    0    0    0     0       0          0
`, received, sent)
}

func TestTicks(t *testing.T) {
	f := machine{}
	f.process(10, 5, 1000, 100, 20)
	f.process(11, 6, 400, 50, 0)
	f.process(20, 7, 0, 1, 1)
	f.network(10, 1000, 2000)
	f.network(20, 7, 8)
	f.put("sys/class/infiniband/mlx5_0/ports/1/counters/port_xmit_data", "100\n")
	f.put("sys/class/infiniband/mlx5_0/ports/1/counters/port_rcv_data", "50\n")
	f.put("sys/class/infiniband/rxe0/ports/1/hw_counters/sent_pkts", "7\n")
	f.put("sys/class/infiniband/rxe0/ports/1/hw_counters/rcvd_pkts", "9\n")
	processes := []Process{{"h1", 10, "executor"}, {"h1", 11, "executor"}, {"h2", 20, "weft"}, {"h2", 99, "other"}}
	m := meter{root: fstest.MapFS(f)}
	if first := m.tick(1, processes, nil); first != nil {
		t.Errorf("rates since nothing: %+v", first)
	}

	f.process(10, 5, 1100, 100, 20) // a second of CPU, in two
	f.process(11, 6, 500, 60, 0)
	f.process(20, 8, 5000, 2, 3) // another process with the number of the first
	f.network(10, 3000, 2500)
	f.network(20, 6, 8) // went back
	f.put("sys/class/infiniband/mlx5_0/ports/1/counters/port_xmit_data", "300\n")
	f.put("sys/class/infiniband/rxe0/ports/1/hw_counters/sent_pkts", "17\n")
	want := []result.Sample{
		{Host: "h1", Name: result.CPU, Of: "executor", Value: 1},
		{Name: result.GPUMemory, Of: "0", Value: 1 << 30},
		{Host: "h1", Name: result.Memory, Of: "executor", Value: 180 << 10},
		{Host: "h2", Name: result.Memory, Of: "weft", Value: 5 << 10},
		{Host: "h1", Name: result.NetRecv, Of: "eth0", Value: 1000},
		{Host: "h1", Name: result.NetSent, Of: "eth0", Value: 250},
		{Host: "h2", Name: result.NetSent, Of: "eth0", Value: 0},
		{Name: result.RDMARecv, Of: "mlx5_0/1", Value: 0},
		{Name: result.RDMARecvPackets, Of: "rxe0/1", Value: 0},
		{Name: result.RDMASent, Of: "mlx5_0/1", Value: 400},
		{Name: result.RDMASentPackets, Of: "rxe0/1", Value: 5},
	}
	for i := range want {
		want[i].At = 3
	}
	if got := m.tick(3, processes, map[string]float64{"0": 1 << 30}); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}

	// A process that ends is no error, and the rate of one that stays is not touched by it.
	delete(f, "proc/11/stat")
	f.process(10, 5, 1150, 100, 20)
	got := m.tick(4, processes[:2], nil)
	if s := got[0]; s.Name != result.CPU || s.Value != 0.5 {
		t.Errorf("after one of two ended: %+v", s)
	}
}

func TestDamagedProc(t *testing.T) {
	f := machine{}
	f.put("proc/1/stat", "1 (x) S 1")
	f.put("proc/1/status", "RssAnon:\tmany kB\n")
	f.put("proc/1/net/dev", "eth0: 1 2\n")
	root := fstest.MapFS(f)
	if _, _, err := readStat(root, 1); err == nil {
		t.Error("a short stat is taken")
	}
	if _, err := readMemory(root, 1); err == nil {
		t.Error("a status without numbers is taken")
	}
	if _, err := readInterfaces(root, 1); err == nil {
		t.Error("a short line of net/dev is taken")
	}
}

func TestParsePIDs(t *testing.T) {
	got, err := parsePIDs([]byte("h0 7 master\nh1 8 executor\n"))
	if want := []Process{{"h0", 7, "master"}, {"h1", 8, "executor"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"h0 7\n", "h0 x master\n"} {
		if _, err := parsePIDs([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestWindows(t *testing.T) {
	s := func(at float64, host, of string, v float64) result.Sample {
		return result.Sample{At: at, Host: host, Name: result.CPU, Of: of, Value: v}
	}
	got := Windows([]result.Sample{
		s(1, "h1", "executor", 1), s(1, "h2", "executor", 4),
		s(30, "h1", "executor", 2), s(30, "h2", "executor", 4), s(30, "h1", "weft", 1),
		s(59.9, "h1", "executor", 3),
		s(60, "h1", "executor", 5),
	}, 60)
	want := []result.Sample{
		s(0, "h1", "executor", 2), s(0, "h1", "weft", 1.0/3), s(0, "h2", "executor", 8.0/3), s(60, "h1", "executor", 5),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := Windows(nil, 60); got != nil {
		t.Errorf("of nothing: %+v", got)
	}
}

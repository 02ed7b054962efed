package daemon

import (
	"encoding/hex"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"weft/internal/metrics"
	"weft/internal/status"
	"weft/internal/version"
	"weft/jvmbridge"
)

// status is the answer to GET /status.
func (d *daemon) status() (*status.Status, error) {
	s := &status.Status{
		Schema:    status.Schema,
		Version:   version.String(),
		PID:       os.Getpid(),
		DaemonID:  hex.EncodeToString(d.info.DaemonID[:]),
		Started:   d.started.UTC(),
		SocketDir: d.opts.SocketDir,
		PeerPort:  d.info.PeerPort,
		CPU:       cpuSeconds(),
		Announced: []string{},
		Apps:      []status.App{},
		Refused:   []status.Refusal{},
		Sessions:  []status.Session{},
		Departed:  []status.Departed{},
		Peers:     []status.Peer{},
	}
	for _, a := range d.info.Announced {
		s.Announced = append(s.Announced, a.String())
	}
	if d.device != nil {
		s.RDMA = &status.RDMA{Device: d.device.Device(), Address: d.device.Addr().String(), RegisteredBytes: d.device.Registered()}
		if err := d.device.Broken(); err != nil {
			s.RDMA.Broken = err.Error()
		}
	}
	usage := d.budget.Usage()
	s.Memory = status.Memory{
		MaxBytes:     d.opts.MemoryMax,
		ReceiveBytes: usage[metrics.Receive].Allocated,
		UpcallBytes:  usage[metrics.Upcall].Allocated,
	}
	mapOutputs := map[[2]string]int{}
	for _, e := range d.registry.Status() {
		mapOutputs[[2]string{e.App, e.Executor}] = e.MapOutputs
		if e.Departed {
			s.Departed = append(s.Departed, status.Departed{App: e.App, Executor: e.Executor, MapOutputs: e.MapOutputs, MapOutputBytes: e.MapOutputBytes})
		}
	}
	s.Apps = d.quotas.status()
	for _, e := range d.bridge.Sessions() {
		s.Sessions = append(s.Sessions, sessionStatus(&e, mapOutputs[[2]string{e.App, e.Executor}]))
	}
	for _, p := range d.peers.Status() {
		s.Peers = append(s.Peers, status.Peer{
			DaemonID:  hex.EncodeToString(p.Addr.DaemonID[:]),
			Address:   net.JoinHostPort(strings.Join(p.Addr.Hosts, ","), strconv.Itoa(int(p.Addr.Port))),
			Transport: p.Transport,
		})
	}
	return s, counters(s, d.metrics.Registry)
}

func sessionStatus(e *jvmbridge.SessionStatus, mapOutputs int) status.Session {
	return status.Session{
		ID: e.ID, App: e.App, Executor: e.Executor, UID: e.UID, PID: e.PID, Version: e.Version,
		AgeSeconds: int64(time.Since(e.Began).Seconds()),
		MapOutputs: mapOutputs,
		Fetches:    e.Fetches,
		Receive:    arenaStatus(e.Receive),
		Upcall:     arenaStatus(e.Upcall),
	}
}

func arenaStatus(a jvmbridge.ArenaStatus) status.Arena {
	return status.Arena{MaxBytes: a.Max, AllocatedBytes: a.Allocated, LeasedBytes: a.Leased, Leases: int(a.Leases)}
}

// cpuSeconds is what this process took so far, in user and kernel mode (getrusage(2)).
func cpuSeconds() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

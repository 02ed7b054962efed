package daemon

import (
	"encoding/hex"
	"os"

	"weft/internal/status"
	"weft/internal/version"
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
		Announced: []string{},
		Sessions:  []status.Session{},
		Peers:     []status.Peer{},
	}
	for _, a := range d.info.Announced {
		s.Announced = append(s.Announced, a.String())
	}
	s.Memory.MaxBytes = d.opts.MemoryMax
	return s, counters(s, d.metrics.Registry)
}

package tcp

import (
	"crypto/tls"
	"time"

	"weft/shuffle"
)

// HandleIdle is how long the owner keeps what nobody reads.
const HandleIdle = handleIdle

// MaxApps is how many applications are opened on a connection.
const MaxApps = maxApps

// Open opens an application and returns the error.
func Open(c shuffle.Conn, app shuffle.App) error {
	ended := make(chan error, 1)
	c.(*bundle).open(app, func(_ uint64, err error) { ended <- err }) //nolint:forcetypeassert // a test
	return <-ended
}

// Age lets time pass for what a connection reads directly.
func Age(c shuffle.Conn, by time.Duration) {
	d := c.(*bundle).direct //nolint:forcetypeassert // a test
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range d.held {
		h.told = h.told.Add(-by)
	}
}

// serving are the connections of a server over which something can be asked. (Of others the test would not know how far their greeting is.)
func serving(s *Server) (serving []*server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if len(c.opened.all()) > 0 {
			serving = append(serving, c)
		}
	}
	return serving
}

// Tidy lets time pass for what a server's peers do not read.
func Tidy(s *Server, by time.Duration) {
	for _, c := range serving(s) {
		c.tidy(time.Now().Add(by))
	}
}

// Sending tells whether something is being sent to a peer: also for a moment after the peer has it.
func Sending(s *Server) bool {
	for _, c := range serving(s) {
		c.out.mu.Lock()
		busy := c.out.busy
		c.out.mu.Unlock()
		if busy {
			return true
		}
	}
	return false
}

// NewCertificate is a certificate as a daemon makes it.
func NewCertificate() (*tls.Certificate, error) { return newCertificate() }

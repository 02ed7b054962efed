package tcp

import (
	"time"

	"weft/shuffle"
)

// HandleIdle is how long the owner keeps what nobody reads.
const HandleIdle = handleIdle

// Age lets time pass for what a connection reads directly.
func Age(c shuffle.Conn, by time.Duration) {
	d := c.(*bundle).direct //nolint:forcetypeassert // a test
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range d.held {
		h.told = h.told.Add(-by)
	}
}

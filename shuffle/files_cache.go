package shuffle

import (
	"os"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"weft/internal/invariants"
	"weft/shuffle/quota"
)

// fileCache keeps data files open between requests. Files in use are counted by reference; idle ones are closed, the least recently used
// first, as soon as more than max are open. When that many are in use, more are opened all the same, up to two thirds of what the process may
// open: beyond it blocks are refused with ReasonNoSpace, so that sockets can still be accepted.
type fileCache struct {
	max, hard int
	quota     *quota.Pool // nil: no bound for one application
	gauge     prometheus.Gauge
	closing   func(*os.File) // may be nil; told of those that have left the package

	mu    sync.Mutex
	open  int                      // descriptors reserved or open
	files map[*mapOutput]*dataFile // not those that were dropped
	idle  dataFile                 // the ring of those with no reference; next is the one used last
}

func newFileCache(most int, quotas *quota.Pool, gauge prometheus.Gauge, closing func(*os.File)) *fileCache {
	c := &fileCache{max: max(most, 1), quota: quotas, gauge: gauge, closing: closing, files: make(map[*mapOutput]*dataFile)}
	c.idle.prev, c.idle.next = &c.idle, &c.idle
	var limit unix.Rlimit
	c.hard = c.max
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
		c.hard = max(c.max, int(min(limit.Cur/3*2, 1<<30)))
	}
	return c
}

// acquire gives the cached file of key with one reference more, or nil.
func (c *fileCache) acquire(key *mapOutput) *dataFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.files[key]
	if f != nil {
		c.retain(f, 1)
	}
	return f
}

func (c *fileCache) retain(f *dataFile, refs int) {
	if f.refs == 0 {
		f.unlink()
	}
	f.refs += refs
}

// reserve makes room for one descriptor of the application; the caller then calls add or unreserve.
func (c *fileCache) reserve(app string) *BlockError {
	c.mu.Lock()
	c.open++
	idle := c.evict()
	var err *BlockError
	for err == nil && !c.quota.Try(app, 1) {
		if own := c.idleOf(app); own != nil {
			idle = append(idle, c.detach(own)...)
		} else {
			c.quota.Refused()
			err = Errorf(ReasonNoSpace, "the application's share (weft.app.share) of the data files that may be open is in use for blocks being served; "+
				"raise the limit of open files (LimitNOFILE)")
		}
	}
	if c.open > c.hard && err == nil {
		c.quota.Give(app, 1)
		err = Errorf(ReasonNoSpace, "%d data files are open for blocks being served; raise the limit of open files (LimitNOFILE)", c.hard)
	}
	if err != nil {
		c.open--
	}
	c.mu.Unlock()
	closeAll(idle)
	if err == nil {
		c.gauge.Inc()
	}
	return err
}

func (c *fileCache) unreserve(app string) {
	c.mu.Lock()
	c.closed(app)
	c.mu.Unlock()
	c.gauge.Dec()
}

// closed counts a descriptor less. mu is held.
func (c *fileCache) closed(app string) {
	c.open--
	c.quota.Give(app, 1)
}

// idleOf is the application's file that has been idle for longest; nil: it has none. mu is held.
func (c *fileCache) idleOf(app string) *dataFile {
	for f := c.idle.prev; f != &c.idle; f = f.prev {
		if f.app == app {
			return f
		}
	}
	return nil
}

// add takes a file for which room was reserved. It comes back with one reference; if another caller was faster and key has a file
// already, that one does, and file is closed. Without a key the file is closed at its last release.
func (c *fileCache) add(app string, key *mapOutput, fd descriptor, name fileName) *dataFile {
	f := &dataFile{fd: fd, name: name, cache: c, app: app, key: key, refs: 1}
	f.unref = func() { c.release(f) }
	if key == nil {
		return f
	}
	c.mu.Lock()
	first := c.files[key]
	switch {
	case first != nil:
		c.retain(first, 1)
	case key.gone:
		f.key = nil
	default:
		c.files[key] = f
	}
	c.mu.Unlock()
	if first == nil {
		return f
	}
	_ = fd.Close()
	c.unreserve(app)
	return first
}

// share adds references to a file that the caller holds one of.
func (c *fileCache) share(f *dataFile, refs int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retain(f, refs)
}

func (c *fileCache) release(f *dataFile) {
	c.mu.Lock()
	f.refs--
	invariants.Check(f.refs >= 0, "a data file was given back more often than taken")
	var unused []*dataFile
	if f.refs == 0 {
		if f.key == nil {
			c.closed(f.app)
			unused = []*dataFile{f}
		} else {
			f.linkBehind(&c.idle)
			unused = c.evict()
		}
	}
	c.mu.Unlock()
	closeAll(unused)
}

// forget closes the file of key, which was given up, as soon as nobody uses it; a request that still knows key caches none.
func (c *fileCache) forget(key *mapOutput) {
	c.mu.Lock()
	key.gone = true
	unused := c.detach(c.files[key])
	c.mu.Unlock()
	closeAll(unused)
}

// drop takes f out, whose key means another file by now. The caller still holds a reference.
func (c *fileCache) drop(f *dataFile) {
	c.mu.Lock()
	unused := c.detach(f)
	c.mu.Unlock()
	closeAll(unused)
}

// detach takes f out of the cache, if it is there; the caller closes what is returned, without the lock.
func (c *fileCache) detach(f *dataFile) []*dataFile {
	if f == nil || f.key == nil {
		return nil
	}
	delete(c.files, f.key)
	f.key = nil
	if f.refs > 0 {
		return nil
	}
	f.unlink()
	c.closed(f.app)
	return []*dataFile{f}
}

// evict takes idle files out until no more than max are open; the caller closes them without the lock.
func (c *fileCache) evict() (unused []*dataFile) {
	for c.open > c.max && c.idle.prev != &c.idle {
		unused = append(unused, c.detach(c.idle.prev)...)
	}
	return unused
}

func closeAll(files []*dataFile) {
	for _, f := range files {
		f.close()
		f.cache.gauge.Dec()
	}
}

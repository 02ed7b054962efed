package sockio

import "golang.org/x/sys/unix"

// ReadCached is pread(2) of what a file has in memory: it does not wait for a disk. It gives fewer bytes than asked for, or an error (EAGAIN, or EOPNOTSUPP
// where the file system can't tell), where not all of them are there; then it has begun to read them, which takes longer (some 100 µs were seen), so it should
// not be tried again and again. p is not empty.
func ReadCached(fd int, p []byte, off int64) (int, error) {
	if !direct || len(p) > much {
		return unix.Preadv2(fd, [][]byte{p}, off, unix.RWF_NOWAIT)
	}
	return callReadCached(fd, p, off)
}

// StatCached is statx(2) of an open file for mask, as this host knows the file: it never waits for a server.
func StatCached(fd, mask int, to *unix.Statx_t) error {
	return callStat(fd, unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, mask, to)
}

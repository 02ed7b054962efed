// Safe, because what the kernel is given are slices' own memory and lengths, and structures that are kept alive until the call has returned.

package sockio

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// callRead is read(2). p is not empty.
func callRead(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return result(n, errno)
}

// callWrite is write(2). p is not empty.
func callWrite(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return result(n, errno)
}

// callSend is sendmsg(2). There are at most gather slices.
func callSend(fd int, bufs [][]byte, flags int) (int, error) {
	var iovs [gather]unix.Iovec
	for i, b := range bufs {
		if len(b) > 0 {
			iovs[i].Base = &b[0]
		}
		iovs[i].SetLen(len(b))
	}
	msg := unix.Msghdr{Iov: &iovs[0]}
	msg.SetIovlen(len(bufs))
	n, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), uintptr(flags))
	runtime.KeepAlive(bufs)
	return result(n, errno)
}

func result(n uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// callReadCached is preadv2(2) of one slice, which is not empty, with RWF_NOWAIT.
func callReadCached(fd int, p []byte, off int64) (int, error) {
	iov := unix.Iovec{Base: &p[0]}
	iov.SetLen(len(p))
	n, _, errno := unix.RawSyscall6(unix.SYS_PREADV2, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 1, uintptr(off), 0, unix.RWF_NOWAIT)
	runtime.KeepAlive(p)
	return result(n, errno)
}

// callStat is statx(2) of an open file.
func callStat(fd, flags, mask int, to *unix.Statx_t) error {
	var path [1]byte // the empty one
	_, _, errno := unix.RawSyscall6(unix.SYS_STATX, uintptr(fd), uintptr(unsafe.Pointer(&path[0])), uintptr(flags), uintptr(mask), uintptr(unsafe.Pointer(to)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

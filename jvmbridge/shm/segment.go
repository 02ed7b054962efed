// Package shm makes the segments that daemon and JVM both map: sealed memfds, allocated in full, so that neither side can be
// hit by SIGBUS because the other one shrank the file or the machine ran out of memory later.
//
// It refuses to use files that have a name (/dev/shm is 64 MB in containers), and to know what lies in a segment.
package shm

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"weft/internal/invariants"
)

// Kind says who writes to a segment.
type Kind int

const (
	// Receive segments are written by the daemon alone: after its own mapping no other writable one can be made, by anybody.
	Receive Kind = iota
	// Upcall segments are written by the JVM and read by the daemon.
	Upcall
)

func (k Kind) String() string {
	if k == Receive {
		return "receive"
	}
	return "upcall"
}

const (
	hugePage = 2 << 20
	maxSize  = 1 << 30 // of the protocol; without a limit the kernel would try any size until memory is gone
)

var openSegments = invariants.NewCounter("shm segments")

// Segment is one mapped memfd.
type Segment struct {
	fd   int
	mem  []byte
	huge bool
}

// New makes a zeroed segment of size bytes, a multiple of a page and at most 1 GiB. It uses huge pages where size is a multiple of 2 MiB and the
// kernel has enough of them in reserve.
func New(kind Kind, size int64) (*Segment, error) {
	pageSize := int64(os.Getpagesize())
	if size <= 0 || size > maxSize || size%pageSize != 0 {
		return nil, fmt.Errorf("segment of %d bytes: not a positive multiple of %d up to %d", size, pageSize, maxSize)
	}
	if size%hugePage == 0 {
		if s, err := create(kind, size, unix.MFD_HUGETLB|unix.MFD_HUGE_2MB); err == nil {
			s.huge = true
			return s, nil // else the kernel has none to spare, which is the usual case
		}
	}
	return create(kind, size, 0)
}

func create(kind Kind, size int64, flags int) (*Segment, error) {
	fd, err := memfd("weft-"+kind.String(), flags)
	if err != nil {
		return nil, fmt.Errorf("memfd_create of a %s segment: %w", kind, err)
	}
	s := &Segment{fd: fd}
	if err := s.fill(kind, size); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	openSegments.Add(1)
	return s, nil
}

// memfd asks for a file that can never be executed, which kernels before 6.3 have no flag for and later ones may insist on.
func memfd(name string, flags int) (int, error) {
	flags |= unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, flags)
	}
	return fd, err
}

// fill allocates, maps and seals.
func (s *Segment) fill(kind Kind, size int64) error {
	what := func(call string, err error) error {
		return fmt.Errorf("%s of a %s segment of %d bytes: %w", call, kind, size, err)
	}
	if err := unix.Ftruncate(s.fd, size); err != nil {
		return what("ftruncate", err)
	}
	if err := allocate(s.fd, size); err != nil {
		return what("fallocate", fmt.Errorf("%w; lower weft.memory.max or raise the memory limit of the daemon", err))
	}
	mem, err := unix.Mmap(s.fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return what("mmap", err)
	}
	seals := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	if kind == Receive {
		seals |= unix.F_SEAL_FUTURE_WRITE
	}
	if _, err := unix.FcntlInt(uintptr(s.fd), unix.F_ADD_SEALS, seals|unix.F_SEAL_SEAL); err != nil {
		return errors.Join(what("sealing", err), unix.Munmap(mem))
	}
	s.mem = mem
	return nil
}

func allocate(fd int, size int64) error {
	for {
		if err := unix.Fallocate(fd, 0, 0, size); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Bytes is the daemon's mapping, writable. It must not be touched after Close.
func (s *Segment) Bytes() []byte { return s.mem }

// TakeFD hands the descriptor over: it is the caller's to pass and to close, and the segment does not need it. -1 the second time.
func (s *Segment) TakeFD() int {
	fd := s.fd
	s.fd = -1
	return fd
}

// Huge tells whether the segment has huge pages, whose files sendfile(2) cannot send from (EINVAL: hugetlbfs has no splice_read).
func (s *Segment) Huge() bool { return s.huge }

// File is the segment as a file, with a descriptor of its own, which the caller closes. It fails once TakeFD was called.
func (s *Segment) File() (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("a second descriptor of a segment: %w", err)
	}
	return os.NewFile(uintptr(fd), "segment"), nil
}

// Close undoes the daemon's mapping and closes the descriptor, unless it was taken. Other processes keep their mappings.
func (s *Segment) Close() error {
	if s.mem == nil {
		return nil
	}
	err := unix.Munmap(s.mem)
	if fd := s.TakeFD(); fd >= 0 {
		err = errors.Join(err, unix.Close(fd))
	}
	s.mem = nil
	openSegments.Add(-1)
	return err
}

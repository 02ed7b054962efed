package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// wireBuffer holds what one guest has sent and the other has not yet taken; a frame beyond it is lost.
const wireBuffer = 4 << 20

// newWire returns the two ends of a wire, where each write is a frame.
func newWire() ([]*os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socketpair: %w", err)
	}
	var ends []*os.File
	for _, fd := range fds {
		ends = append(ends, os.NewFile(uintptr(fd), "wire"))
		for force, plain := range map[int]int{unix.SO_SNDBUFFORCE: unix.SO_SNDBUF, unix.SO_RCVBUFFORCE: unix.SO_RCVBUF} {
			if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, wireBuffer) == nil {
				continue
			}
			// Without root it gets what the host allows to everybody.
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, wireBuffer); err != nil {
				return nil, fmt.Errorf("setsockopt %d: %w", plain, err)
			}
		}
	}
	return ends, nil
}

// processors are those that this process may run on.
func processors() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	var all []int
	for cpu := 0; len(all) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	return all, nil
}

// memoryDir finds a tmpfs with room for the guests' memory that may hold programs: their kernels map it so.
func memoryDir(need uint64, dirs ...string) (string, error) {
	var why []string
	for _, dir := range dirs {
		var fs unix.Statfs_t
		err := unix.Statfs(dir, &fs)
		free := fs.Bavail * uint64(fs.Bsize)
		switch {
		case dir == "":
			continue
		case err != nil:
			why = append(why, fmt.Sprintf("%s: %v", dir, err))
		case fs.Type != unix.TMPFS_MAGIC:
			why = append(why, dir+" is no tmpfs")
		case fs.Flags&unix.ST_NOEXEC != 0:
			why = append(why, dir+" is mounted noexec")
		case free < need:
			why = append(why, fmt.Sprintf("%s has only %d MiB free", dir, free>>20))
		default:
			return dir, nil
		}
	}
	return "", fmt.Errorf("no room for %d MiB of guests' memory: %s; mount a tmpfs without noexec and name it in TMPDIR, or enlarge /dev/shm",
		need>>20, strings.Join(why, ", "))
}

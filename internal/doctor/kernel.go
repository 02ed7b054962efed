package doctor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"weft/internal/status"
)

func (m *machine) memfd(context.Context) Result {
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_FUTURE_WRITE
	const todo = "weft needs Linux 5.1 or newer, and a container that allows memfd_create"
	fd, err := unix.MemfdCreate("weft-doctor", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return fail(todo, "memfd_create: %v", err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, int64(os.Getpagesize())); err != nil {
		return fail(todo, "ftruncate of a memfd: %v", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return fail(todo, "sealing a memfd: %v", err)
	}
	return ok("the kernel makes and seals them")
}

func (m *machine) openat2(context.Context) Result {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	dir, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail("", "opening /: %v", err)
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, "proc", &how)
	if err != nil {
		return fail("weft needs Linux 5.6 or newer, and a container whose seccomp profile knows openat2", "openat2: %v", err)
	}
	unix.Close(fd)
	return ok("paths can be held below a directory")
}

// memory compares what the arenas may take with what there is: segments are memory of this machine and of the daemon's cgroup.
func (m *machine) memory(context.Context) Result {
	const todo = "lower weft.memory.max, or give the daemon more memory"
	want := status.Bytes(m.opts.MemoryMax)
	available, err := m.available()
	if err != nil {
		return warn("", "can't tell how much is available: %v", err)
	}
	if limit := m.cgroupLimit(); limit < m.opts.MemoryMax {
		return fail(todo, "the cgroup allows %s, weft.memory.max is %s", status.Bytes(limit), want)
	}
	if available < m.opts.MemoryMax {
		return fail(todo, "%s available, weft.memory.max is %s", status.Bytes(available), want)
	}
	return ok("%s available, weft.memory.max is %s", status.Bytes(available), want)
}

func (m *machine) available() (int64, error) {
	content, err := os.ReadFile(m.root + "/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for s := bufio.NewScanner(bytes.NewReader(content)); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) >= 2 && fields[0] == "MemAvailable:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no MemAvailable in /proc/meminfo")
}

// cgroupLimit is the limit of the own cgroup as a container sees it; without one, the largest number.
func (m *machine) cgroupLimit() int64 {
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if content, err := os.ReadFile(m.root + file); err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64); err == nil {
				return n
			}
		}
	}
	return math.MaxInt64
}

func (m *machine) devShm(context.Context) Result {
	var fs unix.Statfs_t
	if err := unix.Statfs(m.root+"/dev/shm", &fs); err != nil {
		return ok("absent, and not needed: segments are memfds")
	}
	return ok("%s, which does not limit weft: segments are memfds", status.Bytes(int64(fs.Blocks)*fs.Bsize))
}

// Descriptors that a daemon needs beside those of the files served; ampleFiles is of all.
const (
	reservedFiles = 256     // sessions' sockets, segments and what else is open
	ampleFiles    = 1 << 16 // with fewer, a large application meets its share of them
	manyPeers     = 64      // a cluster of that size is planned for: both sides open 1 + weft.tcp.streams connections
)

func (m *machine) nofile(context.Context) Result {
	soft, err := limit(unix.RLIMIT_NOFILE)
	if err != nil {
		return warn("", "%v", err)
	}
	return m.nofileOf(soft)
}

func (m *machine) nofileOf(soft uint64) Result {
	need := uint64(m.opts.FilesMax + reservedFiles + manyPeers*2*(1+m.opts.TCPStreams))
	text := limitText(soft, func(n uint64) string { return strconv.FormatUint(n, 10) })
	if soft < need {
		return fail("raise it (LimitNOFILE=, ulimit -n) or lower weft.files.max", "%s, weft.files.max and connections need %d", text, need)
	}
	if soft < ampleFiles {
		peers := soft / 4 / uint64(1+m.opts.TCPStreams) * uint64(m.opts.AppShare) / 100
		return warn(fmt.Sprintf("raise it to %d (LimitNOFILE=, ulimit -n)", ampleFiles),
			"%s: by its share of it (weft.app.share) an application can reach %d peers", text, peers)
	}
	return ok("%s", text)
}

// limit is the soft limit; the Go runtime has raised that of RLIMIT_NOFILE to the hard one already, as it does in the daemon.
func limit(resource int) (uint64, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(resource, &r); err != nil {
		return 0, fmt.Errorf("getrlimit: %w", err)
	}
	return r.Cur, nil
}

func limitText(n uint64, format func(uint64) string) string {
	if n > math.MaxInt64 {
		return "unlimited"
	}
	return format(n)
}

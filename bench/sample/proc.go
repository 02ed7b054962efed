package sample

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

const userHZ = 100 // of the times in /proc, on every Linux

// readStat gives a process's CPU seconds, user and system, and when it started, in ticks since the machine did.
func readStat(root fs.FS, pid int) (cpu float64, start uint64, err error) {
	name := fmt.Sprintf("proc/%d/stat", pid)
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, 0, err
	}
	s := string(b)
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:]) // the command, in brackets, may have any bytes; the state, field 3, is f[0]
	if len(f) < 20 {
		return 0, 0, fmt.Errorf("%s: %q", name, s)
	}
	user, err1 := strconv.ParseUint(f[11], 10, 64)
	system, err2 := strconv.ParseUint(f[12], 10, 64)
	start, err3 := strconv.ParseUint(f[19], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return 0, 0, fmt.Errorf("%s: %q", name, s)
	}
	return float64(user+system) / userHZ, start, nil
}

// readMemory gives the bytes of a process's own memory and of the shared segments that it has touched. A segment that daemon and executor
// share counts in both; pages of files (jars, libraries) count in neither.
func readMemory(root fs.FS, pid int) (float64, error) {
	name := fmt.Sprintf("proc/%d/status", pid)
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, err
	}
	var sum float64
	for line := range strings.Lines(string(b)) {
		what, value, _ := strings.Cut(line, ":")
		if what != "RssAnon" && what != "RssShmem" {
			continue // a process without either is ending
		}
		kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %q", name, line)
		}
		sum += float64(kib) * 1024
	}
	return sum, nil
}

type traffic struct{ sent, received float64 }

// readInterfaces gives the bytes of all interfaces, without lo, of the network namespace that the process is in.
func readInterfaces(root fs.FS, pid int) (map[string]traffic, error) {
	name := fmt.Sprintf("proc/%d/net/dev", pid)
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return nil, err
	}
	interfaces := map[string]traffic{}
	for line := range strings.Lines(string(b)) {
		device, counts, ok := strings.Cut(line, ":")
		device = strings.TrimSpace(device)
		if !ok || device == "lo" {
			continue // of the two lines of headings none has a colon
		}
		f := strings.Fields(counts)
		if len(f) < 9 {
			return nil, fmt.Errorf("%s: %q", name, line)
		}
		received, err1 := strconv.ParseUint(f[0], 10, 64)
		sent, err2 := strconv.ParseUint(f[8], 10, 64)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("%s: %q", name, line)
		}
		interfaces[device] = traffic{sent: float64(sent), received: float64(received)}
	}
	return interfaces, nil
}

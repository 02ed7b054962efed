package doctor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"weft/internal/status"
)

// memlock compares what may be registered with the limit, which counts registered memory as locked.
func (m *machine) memlock(context.Context) Result {
	text, soft, err := m.lockedMax()
	if err != nil {
		return warn("", "can't tell how much may be locked: %v", err)
	}
	if !m.wants() {
		return ok("%s, and TCP locks none", text)
	}
	if names, err := m.sys().DeviceNames(); err == nil && len(names) == 0 {
		return ok("%s, and there is no device to register memory with", text)
	}
	if need := m.opts.MemoryMax + m.opts.MemoryRegisteredMax; soft >= 0 && soft < need {
		return m.without("LimitMEMLOCK=infinity (systemd), ulimit -l unlimited, or lower the two options",
			"%s, weft.memory.max and weft.memory.registered.max are %s together", text, status.Bytes(need))
	}
	return ok("%s", text)
}

// lockedMax is how many bytes this process may lock, in words and as a number; -1: as many as there are.
func (m *machine) lockedMax() (text string, n int64, err error) {
	capabilities, err := m.ofSelf("status", "CapEff:")
	if err != nil {
		return "", 0, err
	}
	if bits, err := strconv.ParseUint(capabilities, 16, 64); err == nil && bits>>unix.CAP_IPC_LOCK&1 == 1 {
		return "unlimited by CAP_IPC_LOCK", -1, nil
	}
	limit, err := m.ofSelf("limits", "Max locked memory")
	if err != nil || limit == "unlimited" {
		return limit, -1, err
	}
	n, err = strconv.ParseInt(limit, 10, 64)
	return status.Bytes(n), n, err
}

// ofSelf is the first word after the name of a line in a file of /proc/self.
func (m *machine) ofSelf(file, name string) (string, error) {
	content, err := os.ReadFile(m.root + "/proc/self/" + file)
	if err != nil {
		return "", err
	}
	for s := bufio.NewScanner(bytes.NewReader(content)); s.Scan(); {
		rest, found := strings.CutPrefix(s.Text(), name)
		if words := strings.Fields(rest); found && len(words) > 0 {
			return words[0], nil
		}
	}
	return "", errors.New("no " + name + " in /proc/self/" + file)
}

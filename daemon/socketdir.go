package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Names in the socket directory.
const (
	BridgeSocket = "weft-v1.sock"
	LockFile     = "daemon.lock"
)

// ErrAlreadyRunning means that another daemon serves the socket directory.
var ErrAlreadyRunning = errors.New("another daemon is running")

// socketDir is a socket directory that this process alone serves.
type socketDir struct {
	path   string
	gid    int
	shared bool // the administrator opened the directory to its group
	lock   *os.File
}

// CheckSocketDir says why path can't be a socket directory. It may be absent (an error that is fs.ErrNotExist). It must be a directory of
// this user in which nobody else can put or replace a socket; the group may search it where the administrator allowed that.
func CheckSocketDir(path string) error {
	_, err := statSocketDir(path)
	return err
}

func statSocketDir(path string) (*unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return nil, fmt.Errorf("socket directory: %w", &fs.PathError{Op: "lstat", Path: path, Err: err})
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return nil, fmt.Errorf("socket directory %s is not a directory: remove it or set weft.socket.dir", path)
	case int(st.Uid) != os.Geteuid():
		return nil, fmt.Errorf("socket directory %s belongs to uid %d and this is uid %d: set weft.socket.dir to a directory of this user's own",
			path, st.Uid, os.Geteuid())
	case st.Mode&0o027 != 0:
		return nil, fmt.Errorf("socket directory %s has mode %04o, others could use or replace the sockets: chmod 0700 %s", path, st.Mode&0o7777, path)
	}
	return &st, nil
}

// openSocketDir makes the directory where there is none, takes the lock and removes the sockets of a daemon that died. The caller closes
// what it returns.
func openSocketDir(path string) (*socketDir, error) {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("making the socket directory: %w", err)
	}
	st, err := statSocketDir(path)
	if err != nil {
		return nil, err
	}
	d := &socketDir{path: path, gid: int(st.Gid), shared: st.Mode&0o070 != 0}
	if d.lock, err = takeLock(filepath.Join(path, LockFile)); err != nil {
		return nil, err
	}
	return d, nil
}

// takeLock holds the lock as long as the file is open; a process that dies loses it.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock of the socket directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			holder, _ := io.ReadAll(io.LimitReader(f, 32))
			return nil, fmt.Errorf("%w (pid %s) in %s: use it, end it, or give this one another --socket-dir",
				ErrAlreadyRunning, cmp.Or(strings.TrimSpace(string(holder)), "not yet known"), filepath.Dir(path))
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := writePID(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

// close gives the lock up; the file stays, since removing it would race with the next holder.
func (d *socketDir) close() error { return d.lock.Close() }

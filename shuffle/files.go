package shuffle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrOutside is in the chain of errors about a path that is not a regular file of the executor's own user beneath one of
// the directories it registered. An executor that names such a path is broken or lies, so its session ends.
var ErrOutside = errors.New("outside the registered directories")

// localDir is a directory an executor registered. It is held open: what its path means later does not matter.
type localDir struct {
	path string // as the executor writes it, clean
	real string // without symbolic links
	dir  *os.File
}

// localDirs are the directories of one executor, and the user who owns what lies beneath them.
type localDirs struct {
	app  string // whose files count as its own
	uid  uint32
	dirs []localDir
}

func openLocalDirs(paths []string, uid uint32) (*localDirs, error) {
	l := &localDirs{uid: uid}
	for _, path := range paths {
		dir, err := openLocalDir(path, uid)
		if err != nil {
			l.close()
			return nil, fmt.Errorf("local directory %q: %w", path, err)
		}
		l.dirs = append(l.dirs, dir)
	}
	return l, nil
}

func openLocalDir(path string, uid uint32) (localDir, error) {
	if !filepath.IsAbs(path) {
		return localDir{}, errors.New("the path is not absolute")
	}
	dir, err := os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return localDir{}, err
	}
	info, err := dir.Stat()
	if err == nil && info.Sys().(*syscall.Stat_t).Uid != uid {
		err = fmt.Errorf("it belongs to user %d, the executor runs as user %d", info.Sys().(*syscall.Stat_t).Uid, uid)
	}
	var target string
	if err == nil {
		target, err = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()))
	}
	if err != nil {
		_ = dir.Close()
		return localDir{}, err
	}
	return localDir{path: filepath.Clean(path), real: target, dir: dir}, nil
}

func (l *localDirs) close() {
	for _, d := range l.dirs {
		_ = d.dir.Close()
	}
}

// overlaps tells of a directory of l that is, contains or lies beneath one of other's.
func (l *localDirs) overlaps(other *localDirs) (string, bool) {
	for _, mine := range l.dirs {
		for _, theirs := range other.dirs {
			if isBeneath(mine.real, theirs.real) || isBeneath(theirs.real, mine.real) {
				return mine.path, true
			}
		}
	}
	return "", false
}

// isBeneath tells whether path is dir or lies in it; both are absolute and clean.
func isBeneath(path, dir string) bool {
	rest, ok := strings.CutPrefix(path, dir)
	return ok && (rest == "" || rest[0] == '/' || dir == "/")
}

// place says where a file lies: in directory number dir, at the relative path rel.
type place struct {
	dir int
	rel string
}

// find resolves an absolute path by its words alone. What is really there is checked when it is opened.
func (l *localDirs) find(path string) (place, error) {
	if len(path) <= MaxNameLength && filepath.IsAbs(path) && filepath.Clean(path) == path && !strings.Contains(path, "\x00") {
		for i, d := range l.dirs {
			if rest, ok := strings.CutPrefix(path, d.path+"/"); ok {
				return place{dir: i, rel: rest}, nil
			}
		}
	}
	return place{}, fmt.Errorf("%q: %w", path, ErrOutside)
}

// open opens a file for reading. fs.ErrNotExist is in the error's chain where there is none, ErrOutside where it is not a regular file of
// the directories' user or where a symbolic link leads to it, os.ErrClosed where the executor has left.
func (l *localDirs) open(p place) (*os.File, unix.Stat_t, error) {
	fd, stat, err := l.openFD(p)
	if err != nil {
		return nil, stat, err
	}
	// Of the flags that can be changed it has O_NONBLOCK alone, with which an os.File would try to wait by epoll.
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, 0); err != nil {
		_ = fd.Close()
		return nil, stat, &fs.PathError{Op: "open", Path: l.path(p), Err: err}
	}
	return os.NewFile(uintptr(fd), l.path(p)), stat, nil
}

// openFD is open without an os.File, which takes as long again.
func (l *localDirs) openFD(p place) (descriptor, unix.Stat_t, error) {
	var stat unix.Stat_t
	fd, err := openBeneath(l.dirs[p.dir].dir, p.rel)
	if err == nil {
		if err = checkFile(fd, l.uid, &stat); err != nil {
			_ = unix.Close(fd)
		}
	}
	if err != nil {
		return -1, stat, &fs.PathError{Op: "open", Path: l.path(p), Err: err}
	}
	return descriptor(fd), stat, nil
}

// name is the absolute path of p. Both of its parts are clean.
func (l *localDirs) name(p place) fileName { return fileName{l.dirs[p.dir].path, p.rel} }

func (l *localDirs) path(p place) string { return l.name(p).String() }

// openBeneath never follows a symbolic link, leaves dir, creates, truncates or waits: without O_NONBLOCK, opening a FIFO would.
func openBeneath(dir *os.File, rel string) (int, error) {
	how := unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	conn, err := dir.SyscallConn() // keeps the descriptor's number from being reused meanwhile
	if err != nil {
		return -1, err
	}
	fd := -1
	var openErr error
	err = conn.Control(func(dirFD uintptr) {
		for {
			fd, openErr = unix.Openat2(int(dirFD), rel, &how)
			if openErr != unix.EINTR {
				return
			}
		}
	})
	switch {
	case err != nil:
		return -1, os.ErrClosed // the one error of Control
	case openErr == unix.ELOOP || openErr == unix.EXDEV:
		return -1, fmt.Errorf("%w: %w", ErrOutside, openErr)
	case openErr == unix.ENOSYS:
		return -1, fmt.Errorf("%w: serving files needs openat2 (Linux 5.6, and a sandbox that allows it)", openErr)
	default:
		return fd, openErr
	}
}

func checkFile(fd int, uid uint32, stat *unix.Stat_t) error {
	if err := unix.Fstat(fd, stat); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("%w: not a regular file", ErrOutside)
	}
	if stat.Uid != uid {
		return fmt.Errorf("%w: the file belongs to user %d, the executor runs as user %d", ErrOutside, stat.Uid, uid)
	}
	return nil
}

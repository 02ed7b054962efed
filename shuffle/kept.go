package shuffle

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// kept are one executor's hard links to the files of its map outputs: directory i for what lies in its local directory i.
type kept struct {
	keeper *keeper
	beside []*keptDir
	dirs   *localDirs
	left   Left
	record Record
	misses error // why some of left's directories are not among dirs; the record stays for them

	mu     sync.Mutex // held while links are made or removed, and while the record changes
	closed bool
}

// keptDir is a directory for links: <parent of the local directory>/<Keeping.Name of who made it>/<name>.
type keptDir struct {
	parent, base *os.Root
	path         string
	links        localDir
}

// pathBeside is where the links to what lies in local are.
func (r *keeper) pathBeside(local *localDir, name string) string {
	return filepath.Join(filepath.Dir(local.real), r.opts.Name, name)
}

// beside makes the directory for links at path, on the file system of local. All are made and opened below a directory that is held open, and
// belong to the executor's user, who can remove them like its own.
func beside(local *localDir, path string, uid uint32) (*keptDir, error) {
	parent, err := openParent(local.dir)
	if err != nil {
		return nil, err
	}
	d := &keptDir{parent: parent, path: path}
	if err := d.open(func(in *os.Root, name string) (*os.Root, error) { return makeDir(in, name, uid) }); err != nil {
		d.remove()
		d.close()
		return nil, err
	}
	return d, nil
}

// open opens the directory for links in d's parent, and the one it is in.
func (d *keptDir) open(one func(in *os.Root, name string) (*os.Root, error)) (err error) {
	if d.base, err = one(d.parent, filepath.Base(filepath.Dir(d.path))); err != nil {
		return err
	}
	links, err := one(d.base, filepath.Base(d.path))
	if err != nil {
		return err
	}
	defer links.Close()
	dir, err := links.Open(".")
	if err != nil {
		return err
	}
	d.links = localDir{path: d.path, real: d.path, dir: dir}
	return nil
}

// openParent opens the directory that dir really lies in.
func openParent(dir *os.File) (*os.Root, error) {
	conn, err := dir.SyscallConn()
	if err != nil {
		return nil, err
	}
	var root *os.Root
	var openErr error
	if err := conn.Control(func(fd uintptr) { root, openErr = os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d/..", fd)) }); err != nil {
		return nil, err
	}
	return root, openErr
}

// makeDir makes a directory for the user, or takes the one there is, which must be a real one of the user's. The user may have put something else
// into the place of what was made meanwhile, so only what was opened is looked at, and given away.
func makeDir(in *os.Root, name string, uid uint32) (*os.Root, error) {
	err := in.Mkdir(name, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return takeDir(in, name, uid, err == nil && uid != uint32(os.Geteuid()))
}

var errNotOfUser = errors.New("not a directory of user")

// takeDir opens a real directory of the user's. One that was just made is given to the user.
func takeDir(in *os.Root, name string, uid uint32, made bool) (*os.Root, error) {
	there, err := in.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !there.IsDir() {
		return nil, fmt.Errorf("%s is %w %d", name, errNotOfUser, uid)
	}
	root, err := in.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	if err := own(root, made, uid); err != nil {
		root.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return root, nil
}

// own gives an opened directory that was just made to the user, and sees that it is the user's.
func own(root *os.Root, made bool, uid uint32) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	if made {
		if _, err := dir.Readdirnames(1); !errors.Is(err, io.EOF) {
			return errors.Join(errors.New("it was replaced when it had just been made"), err)
		}
		if err := dir.Chown(int(uid), -1); err != nil {
			return err
		}
	}
	opened, err := dir.Stat()
	if err != nil {
		return err
	}
	if opened.Sys().(*syscall.Stat_t).Uid != uid {
		return fmt.Errorf("it is %w %d", errNotOfUser, uid)
	}
	return nil
}

// link makes a link to an open file of local directory dir, in place of any of that name.
func (k *kept) link(dir int, file *os.File, name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return ErrGone
	}
	to := k.dirs.dirs[dir].dir
	err := linkFile(file, to, name)
	if errors.Is(err, fs.ErrExist) {
		if err = unlink(to, name); err == nil {
			err = linkFile(file, to, name)
		}
	}
	return err
}

// unlink removes links of map outputs that are known no more.
func (k *kept) unlink(outputs map[uint64]*mapOutput) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range outputs {
		if k.closed || !m.kept {
			continue
		}
		for _, p := range []place{m.data(), m.index()} {
			_ = unlink(k.dirs.dirs[p.dir].dir, p.rel) // there need not be a data file; what stays goes with the directory
		}
	}
}

// close removes the links, unless they are left to a later daemon.
func (k *kept) close() {
	k.keeper.mu.Lock()
	defer k.keeper.mu.Unlock()
	k.closeLocked()
}

func (k *kept) closeLocked() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return
	}
	k.closed = true
	for _, d := range k.beside {
		if !k.keeper.leaves {
			d.remove()
		}
		d.close()
	}
	if !k.keeper.leaves && k.misses == nil {
		k.record.Forget()
	}
}

// ended records when the executor ended: by that a later daemon knows whose map outputs to give up first.
func (k *kept) ended(at int64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil
	}
	k.left.Ended = at
	return k.record.Update(k.left)
}

// remove removes the directory, and the one it is in with the last of them. Where that fails, who made the application's directories
// removes it with them.
func (d *keptDir) remove() {
	if d.base != nil {
		_ = remove(d.base, filepath.Base(d.path))
		_ = d.parent.Remove(filepath.Base(filepath.Dir(d.path)))
	}
}

func (d *keptDir) close() {
	if d.links.dir != nil {
		_ = d.links.dir.Close()
	}
	if d.base != nil {
		_ = d.base.Close()
	}
	_ = d.parent.Close()
}

// linkFile links an open file itself, whatever its path means by now, and follows nothing at name.
func linkFile(file, to *os.File, name string) error {
	err := withFDs(file, to, func(from, dir int) error {
		return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", from), dir, name, unix.AT_SYMLINK_FOLLOW)
	})
	if err != nil {
		return &os.LinkError{Op: "link", Old: file.Name(), New: filepath.Join(to.Name(), name), Err: err}
	}
	return nil
}

func unlink(dir *os.File, name string) error {
	return withFDs(dir, dir, func(fd, _ int) error { return unix.Unlinkat(fd, name, 0) })
}

// withFDs calls f with descriptors that stay open meanwhile.
func withFDs(a, b *os.File, f func(a, b int) error) error {
	connA, err := a.SyscallConn()
	if err != nil {
		return err
	}
	connB, err := b.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = connA.Control(func(fdA uintptr) {
		err := connB.Control(func(fdB uintptr) { failed = f(int(fdA), int(fdB)) })
		if err != nil {
			failed = err
		}
	})
	return errors.Join(err, failed)
}

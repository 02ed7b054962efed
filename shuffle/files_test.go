package shuffle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func testDirs(t *testing.T, paths ...string) *localDirs {
	t.Helper()
	l, err := openLocalDirs(paths, uint32(os.Getuid()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

func writeFile(t *testing.T, path string, data []byte) string {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, data, 0o600))
	return path
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openPath is what the registry does with a path of an executor.
func openPath(l *localDirs, path string) (*os.File, error) {
	where, err := l.find(path)
	if err != nil {
		return nil, err
	}
	file, _, err := l.open(where)
	return file, err
}

func TestOpenBeneath(t *testing.T) {
	dir := t.TempDir()
	l := testDirs(t, t.TempDir(), dir)
	path := writeFile(t, filepath.Join(dir, "0c/shuffle_0_1_0.data"), []byte("bytes of a block"))
	file, err := openPath(l, path)
	must(t, err)
	defer file.Close()
	got := make([]byte, 5)
	if _, err := file.ReadAt(got, 6); err != nil || string(got) != "of a " {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := file.WriteAt(got, 0); err == nil {
		t.Error("the file is open for writing")
	}
	flags, err := unix.FcntlInt(file.Fd(), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
	if _, err := openPath(l, filepath.Join(dir, "0c/absent")); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrOutside) {
		t.Errorf("an absent file: %v", err)
	}
}

func TestPathsOutsideByTheirWords(t *testing.T) {
	dir := t.TempDir()
	l := testDirs(t, dir)
	outside := writeFile(t, filepath.Join(t.TempDir(), "secret"), []byte("x"))
	for _, path := range []string{
		"", "/", "relative", outside, dir, dir + "/", dir + "x/file", dir + "/../" + filepath.Base(dir) + "/file", dir + "/a/../../secret",
		dir + "/..", dir + "/./file", dir + "//file", "/proc/self/root" + outside, dir + "/nul\x00", dir + "/" + strings.Repeat("long/", 1000) + "x",
	} {
		if where, err := l.find(path); !errors.Is(err, ErrOutside) {
			t.Errorf("%q was found at %+v: %v", path, where, err)
		}
	}
	if where, err := l.find(dir + "/..data"); err != nil || where.rel != "..data" {
		t.Errorf("two dots are a good beginning of a name: %+v, %v", where, err)
	}
	// Were such a path to get through all the same, the kernel refuses it.
	for _, rel := range []string{"../secret", "a/../../secret", outside, "/etc/passwd"} {
		if file, _, err := l.open(place{rel: rel}); err == nil {
			_ = file.Close()
			t.Errorf("%q was opened", rel)
		}
	}
}

func TestOpenRefusesWhatIsNoFileOfTheExecutor(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	l := testDirs(t, dir)
	secret := writeFile(t, filepath.Join(other, "secret"), []byte("another's"))
	inside := writeFile(t, filepath.Join(dir, "inside"), []byte("own"))

	tests := map[string]func(path string) error{
		"link to a file outside":      func(p string) error { return os.Symlink(secret, p) },
		"link to a file inside":       func(p string) error { return os.Symlink(inside, p) },
		"link to nothing":             func(p string) error { return os.Symlink("/nonexistent", p) },
		"link through proc":           func(p string) error { return os.Symlink("/proc/self/cwd", p) },
		"fifo that nobody writes to":  func(p string) error { return unix.Mkfifo(p, 0o600) },
		"directory":                   func(p string) error { return os.Mkdir(p, 0o700) },
		"file below a link":           func(p string) error { return os.Symlink(other, filepath.Dir(p)) },
		"hard link of another's file": nil,
		"device":                      nil,
	}
	if os.Geteuid() == 0 { // a user can make neither, but somebody else could for him
		tests["hard link of another's file"] = func(p string) error {
			foreign := writeFile(t, filepath.Join(other, "foreign"), []byte("foreign"))
			return errors.Join(os.Chown(foreign, 65534, 65534), os.Link(foreign, p))
		}
		tests["device"] = func(p string) error { return unix.Mknod(p, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) }
	}
	for name, make := range tests {
		if make == nil {
			continue
		}
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "_"))
		if name == "file below a link" {
			path = filepath.Join(dir, "linked", "secret")
		}
		must(t, make(path))
		if file, err := openPath(l, path); !errors.Is(err, ErrOutside) {
			t.Errorf("%s: opened %v, %v", name, file, err)
		}
	}

	// The same for the user: whatever belongs to somebody else is refused.
	stranger := &localDirs{uid: l.uid + 1, dirs: l.dirs}
	if file, err := openPath(stranger, inside); !errors.Is(err, ErrOutside) {
		t.Errorf("a file of another user: opened %v, %v", file, err)
	}
	if got, err := os.ReadFile(inside); err != nil || string(got) != "own" {
		t.Errorf("the file was changed: %q, %v", got, err)
	}
}

func TestDirectoriesAreHeld(t *testing.T) {
	parent, other := t.TempDir(), t.TempDir()
	dir := filepath.Join(parent, "blockmgr")
	path := writeFile(t, filepath.Join(dir, "sub/data"), []byte("own"))
	writeFile(t, filepath.Join(other, "sub/data"), []byte("another's"))
	l := testDirs(t, dir)

	read := func() string {
		t.Helper()
		file, err := openPath(l, path)
		must(t, err)
		defer file.Close()
		got, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", file.Fd()))
		must(t, err)
		return string(got)
	}
	// The registered path now leads elsewhere; the directory that was registered does not.
	must(t, os.Rename(dir, dir+".old"))
	must(t, os.Symlink(other, dir))
	if got := read(); got != "own" {
		t.Errorf("after a swap of the directory: %q", got)
	}
	// A directory below it was swapped for a link.
	must(t, os.Rename(dir+".old/sub", dir+".old/sub2"))
	must(t, os.Symlink(filepath.Join(other, "sub"), dir+".old/sub"))
	if file, err := openPath(l, path); !errors.Is(err, ErrOutside) {
		t.Errorf("after a swap of a directory below: opened %v, %v", file, err)
	}
	l.close()
	if _, err := openPath(l, path); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after the executor left: %v", err)
	}
}

func TestLocalDirsRefused(t *testing.T) {
	dir := t.TempDir()
	file := writeFile(t, filepath.Join(dir, "file"), nil)
	me := uint32(os.Getuid())
	if _, err := openLocalDirs([]string{dir}, me+1); err == nil || !strings.Contains(err.Error(), "belongs to user") {
		t.Errorf("a directory of another user: %v", err)
	}
	for _, path := range []string{"", "relative", file, filepath.Join(dir, "absent")} {
		if _, err := openLocalDirs([]string{dir, path}, me); err == nil {
			t.Errorf("%q was taken", path)
		}
	}
}

func TestOverlap(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/b/c", "ab"} {
		must(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
	}
	must(t, os.Symlink(filepath.Join(dir, "a"), filepath.Join(dir, "link")))
	at := func(name string) *localDirs { return testDirs(t, filepath.Join(dir, name)) }
	tests := []struct {
		one, other string
		want       bool
	}{
		{"a", "a", true},
		{"a/b", "a", true},
		{"a", "a/b/c", true},
		{"link", "a", true},
		{"link/b", "a", true},
		{"a", "ab", false},
		{"a/b", "ab", false},
	}
	for _, test := range tests {
		if _, got := at(test.one).overlaps(at(test.other)); got != test.want {
			t.Errorf("%s and %s: %v", test.one, test.other, got)
		}
	}
	if !isBeneath("/tmp", "/") {
		t.Error("everything is beneath the root")
	}
}

// What lies at a path changes all the time while it is opened: never does another file come than one of the executor's own.
func TestOpenWhilePathsChange(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	l := testDirs(t, dir)
	path := writeFile(t, filepath.Join(dir, "sub/data"), []byte("own"))
	writeFile(t, filepath.Join(other, "data"), []byte("another's"))
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	must(t, os.Symlink(other, filepath.Join(dir, "link")))
	must(t, os.Symlink(filepath.Join(other, "data"), filepath.Join(dir, "file")))

	swap := func(a, b string) error {
		return unix.Renameat2(unix.AT_FDCWD, filepath.Join(dir, a), unix.AT_FDCWD, filepath.Join(dir, b), unix.RENAME_EXCHANGE)
	}
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			// The directory for a link to another one, the file for a FIFO, and for a link to another's; and back again.
			for _, pair := range [][2]string{{"sub", "link"}, {"sub/data", "fifo"}, {"sub/data", "file"}} {
				if err := errors.Join(swap(pair[0], pair[1]), swap(pair[0], pair[1])); err != nil {
					ended <- err
					return
				}
			}
		}
	}()
	opened, refused := 0, 0
	for end := time.Now().Add(30 * time.Second); (opened < 1000 || refused < 100) && time.Now().Before(end); {
		file, err := openPath(l, path)
		switch {
		case err == nil:
			got := make([]byte, 20)
			n, _ := file.ReadAt(got, 0)
			if string(got[:n]) != "own" {
				t.Errorf("opened %q", got[:n])
			}
			_ = file.Close()
			opened++
		case errors.Is(err, ErrOutside):
			refused++
		case !errors.Is(err, unix.EAGAIN): // openat2's word for a path that changes meanwhile
			t.Fatal(err)
		}
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if opened == 0 || refused == 0 {
		t.Errorf("opened %d times, refused %d times: nothing was shown", opened, refused)
	}
}
